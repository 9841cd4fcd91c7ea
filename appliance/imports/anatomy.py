"""The code of a body part, which photographs and videos must carry (PS3.16 CID 4031)."""

from __future__ import annotations

from pydicom.dataset import Dataset

_REGION_BY_BODY_PART = {
    "ABDOMEN": "Abdomen",
    "ABDOMENPELVIS": "AbdomenAndPelvis",
    "ANKLE": "AnkleJoint",
    "BRAIN": "Head",
    "BREAST": "Breast",
    "CALCANEUS": "Calcaneus",
    "CHEST": "Chest",
    "CLAVICLE": "Clavicle",
    "CSPINE": "CervicalSpine",
    "ELBOW": "ElbowJoint",
    "EXTREMITY": "Extremity",
    "EYE": "Eye",
    "FACE": "FacialBones",
    "FEMUR": "Femur",
    "FINGER": "Finger",
    "FOOT": "Foot",
    "FOREARM": "Forearm",
    "HAND": "Hand",
    "HEAD": "Head",
    "HEART": "Heart",
    "HIP": "Hip",
    "HUMERUS": "Humerus",
    "JAW": "JawRegion",
    "KIDNEY": "UpperUrinaryTract",
    "KNEE": "Knee",
    "LEG": "LowerLeg",
    "LIVER": "LiverAndBiliaryStructure",
    "LSPINE": "LumbarSpine",
    "NECK": "Neck",
    "PELVIS": "Pelvis",
    "PROSTATE": "Prostate",
    "RIB": "Rib",
    "SCAPULA": "Scapula",
    "SHOULDER": "Shoulder",
    "SKULL": "Skull",
    "SSPINE": "Sacrum",
    "STERNUM": "Sternum",
    "THYROID": "Neck",
    "TOE": "Toe",
    "TSPINE": "ThoracicSpine",
    "UTERUS": "UterusAndFallopianTubes",
    "WRIST": "WristJoint",
}
"""By Body Part Examined (PS3.16 annex L): the region it is or lies in; any other is somewhere on the entire body."""


def region_of(body_part: str) -> Dataset:
    """An item for Anatomic Region Sequence (0008,2218)."""
    from pydicom.sr.codedict import codes  # 0.4 s, which pictures of ultrasound devices do not need

    code = getattr(codes.cid4031, _REGION_BY_BODY_PART.get(body_part, "EntireBody"))
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
