"""Made-up headers of the kinds that a mobile unit receives, to train the dictionary of header parts with.

Nothing here was taken from a file of a person: structure follows the information object definitions (PS3.3 A.2, A.6,
A.7, A.26 and their modules), values are of the kind that consoles send, and all identities are drawn at random.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    VLPhotographicImageStorage,
)

HEADER_COUNT_PER_KIND = 150

_SURNAMES = ("BENALI", "HADDAD", "MOUSSA", "DIALLO", "TRAORE", "MARTIN", "SINGH", "NGUYEN", "GARCIA", "KHAN", "AMRANI")
_NAMES = ("FATIMA", "AHMED", "AMINATA", "YOUSSEF", "MARIE", "JOSE", "LAILA", "OMAR", "SARA", "IBRAHIM", "ANNA", "KARIM")
_ARABIC = ("بنعلي^فاطمة", "حداد^أحمد", "موسى^ليلى", "العمراني^يوسف")
_COMPRESSED = (JPEGBaseline8Bit, JPEGLosslessSV1, JPEG2000Lossless, JPEGLSLossless, RLELossless)
_IMPLEMENTATIONS = (
    ("1.2.276.0.7230010.3.0.3.6.6", "OFFIS_DCMTK_366"),
    ("1.2.276.0.7230010.3.0.3.6.7", "OFFIS_DCMTK_367"),
    ("1.2.276.0.7230010.3.0.3.6.9", "OFFIS_DCMTK_369"),
    ("1.2.826.0.1.3680043.8.498.1", "PYDICOM 3.0.2"),
    ("1.2.826.0.1.3680043.9.3811.3.0.4", "PYNETDICOM_304"),
    ("1.2.40.0.13.1.3", "dcm4che-5.32.0"),
)


@dataclass(frozen=True, slots=True)
class Console:
    """What a maker's consoles write into every header."""

    root: str
    manufacturer: str
    models: tuple[str, ...]
    versions: tuple[str, ...]


XRAY = (
    Console("1.2.392.200036.9125", "FUJIFILM Corporation", ("5000", "CR-IR 357", "FDR D-EVO II"), ("A09-05", "V12.0")),
    Console("1.2.840.113564", "CARESTREAM HEALTH", ("DRX-REVOLUTION", "DRX-1", "CLASSIC CR"), ("5.7.412.7", "5.6")),
    Console("1.3.51.0.7", "Agfa", ("DX-D 100", "CR 30-X", "DX-M"), ("NX_3.0.8950", "NIM2112")),
    Console("1.2.840.113619.2", "GE Healthcare", ("Optima XR220", "Thunder Platform", "Definium 6000"), ("dm_v1.4",)),
    Console("1.3.12.2.1107.5.3", "SIEMENS", ("MOBILETT Mira Max", "Fluorospot Compact FD"), ("VE10P", "VF10G")),
    Console("1.3.46.670589.30", "Philips Medical Systems", ("MobileDiagnost wDR", "DigitalDiagnost"), ("1.5.2.1",)),
    Console("1.2.410.200067.100", "SAMSUNG ELECTRONICS", ("GM85", "GC85A"), ("V2.05.01",)),
    Console("1.2.392.200036.9107", "KONICA MINOLTA", ("0402", "CS-7", "REGIUS"), ("1.30R00",)),
)
ULTRASOUND = (
    Console("1.2.840.113619.2.98", "GE Healthcare Ultrasound", ("LOGIQe", "Vivid iq", "Vscan Air"), ("LOGIQe:R9.1.2",)),
    Console("1.2.826.0.1.3680043.2.461", "MINDRAY", ("M9", "DC-40", "Z60"), ("03.02.00", "1.0")),
    Console("1.3.46.670589.14", "Philips Medical Systems", ("CX50", "Affiniti 50G", "Lumify"), ("PMS5.1.2", "3.1.1")),
    Console("1.2.840.114340.3", "SonoSite, Inc.", ("M-Turbo", "EDGE II", "iViz"), ("3.5.1.106.003",)),
    Console("1.2.410.200001.1.1185", "SAMSUNG MEDISON CO., LTD.", ("HM70A", "HS40"), ("1.02.07",)),
    Console("1.3.6.1.4.1.36302.1.1.2", "Esaote", ("6150", "MyLab"), ("F101200",)),
)


def made_headers(rng: random.Random) -> Iterator[bytes]:
    """Part 10 files without pixels, several instances of each made-up series."""
    for kind in (_radiograph, _detector, _still, _loop, _capture, _photograph):
        made = 0
        while made < HEADER_COUNT_PER_KIND:
            common = _Common(rng, rng.choice(ULTRASOUND if kind in (_still, _loop) else XRAY))
            for number in range(1, rng.randint(2, 6)):
                dataset = kind(rng, common, number)
                yield _written(rng, dataset, common)
                made += 1


class _Common:
    """What instances of one series share."""

    def __init__(self, rng: random.Random, console: Console) -> None:
        self.console = console
        self.date = f"{rng.randint(2018, 2027)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
        self.time = f"{rng.randint(7, 19):02}{rng.randint(0, 59):02}{rng.randint(0, 59):02}"
        self.uid = f"{console.root}.{rng.randint(1, 10**6)}.{rng.randint(1, 999)}.{self.date}{self.time}"
        self.study_uid = rng.choice((f"2.25.{rng.getrandbits(122)}", f"{self.uid}.1"))
        self.model = rng.choice(console.models)
        self.version = rng.choice(console.versions)
        self.serial = str(rng.randint(1000, 10**7))
        self.station = rng.choice(("QAFILA-1", "MOBILE-XR", "US-VAN", "ROOM1", "DX01"))
        self.charset = rng.choice(("ISO_IR 100", "ISO_IR 192", "ISO_IR 192", "", "ISO_IR 127"))
        self.syntax = rng.choice((ExplicitVRLittleEndian, ImplicitVRLittleEndian, *_COMPRESSED))
        name = f"{rng.choice(_SURNAMES)}^{rng.choice(_NAMES)}"
        self.name = f"{name}={rng.choice(_ARABIC)}" if self.charset == "ISO_IR 192" and rng.random() < 0.5 else name
        self.patient_id = rng.choice((f"QF-{rng.randint(1, 99999):05}", str(rng.randint(10**5, 10**8))))
        self.birth_date = f"{rng.randint(1930, 2024)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
        self.sex = rng.choice("MFO")
        self.accession = rng.choice((f"QF{rng.randint(1, 99999):06}", str(rng.randint(10**5, 10**9)), ""))
        self.age = f"{rng.randint(0, 95):03}Y"


def _base(rng: random.Random, common: _Common, number: int, sop_class: str, modality: str) -> Dataset:
    dataset = Dataset()
    if common.charset:
        dataset.SpecificCharacterSet = common.charset
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = common.date, f"{common.time}.{rng.randint(0, 999):03}"
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = f"{common.uid}.{rng.randint(1, 10**5)}.{number}"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = common.date
    dataset.StudyTime = common.time
    dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = (
        f"{common.time[:4]}{min(59, int(common.time[4:]) + number):02}"
    )
    dataset.AccessionNumber = common.accession
    dataset.Modality = modality
    dataset.Manufacturer = common.console.manufacturer
    dataset.InstitutionName = rng.choice(("QAFILA MOBILE UNIT", "DISTRICT HOSPITAL", "CHU", "Caravane medicale"))
    dataset.ReferringPhysicianName = rng.choice(("", "DR^HADDAD", "NURSE^A"))
    dataset.StationName = common.station
    dataset.ManufacturerModelName = common.model
    dataset.PatientName, dataset.PatientID = common.name, common.patient_id
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = common.birth_date, common.sex, common.age
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = common.serial, common.version
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = common.study_uid, f"{common.uid}.2"
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "1", 1, number
    if rng.random() < 0.7:
        _procedure(rng, dataset, common)
    if rng.random() < 0.3:
        dataset.PatientComments, dataset.ImageComments = "", ""
        dataset.IssuerOfPatientID = "QAFILA"
        dataset.OperatorsName, dataset.PerformingPhysicianName = "TECH^1", ""
    return dataset


def _procedure(rng: random.Random, dataset: Dataset, common: _Common) -> None:
    description = rng.choice(("CHEST 2 VIEWS", "Abdomen", "US ABDOMEN COMPLETE", "XR HAND", ""))
    code = _code("36643-5", "LN", "XR Chest 2 Views")
    request = Dataset()
    request.ScheduledProcedureStepDescription = description
    request.ScheduledProcedureStepID = f"SPS{rng.randint(1, 9999):04}"
    request.RequestedProcedureID = f"RP{rng.randint(1, 9999):04}"
    request.RequestedProcedureDescription = description
    request.ScheduledProtocolCodeSequence = Sequence([code])
    dataset.RequestAttributesSequence = Sequence([request])
    dataset.ProcedureCodeSequence = Sequence([code])
    dataset.PerformedProcedureStepStartDate, dataset.PerformedProcedureStepStartTime = common.date, common.time
    dataset.PerformedProcedureStepID = f"PPS{rng.randint(1, 9999):04}"
    dataset.PerformedProcedureStepDescription = description
    step = Dataset()
    step.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.3"
    step.ReferencedSOPInstanceUID = f"{common.uid}.9"
    dataset.ReferencedPerformedProcedureStepSequence = Sequence([step])
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", common.study_uid
    dataset.ReferencedStudySequence = Sequence([study])


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _exposure(rng: random.Random, dataset: Dataset) -> None:
    part, view, description = rng.choice(
        (
            ("CHEST", "PA", "CHEST PA"),
            ("CHEST", "AP", "Chest AP"),
            ("CHEST", "LL", "CHEST LATERAL"),
            ("HAND", "PA", "HAND PA"),
            ("KNEE", "AP", "KNEE AP"),
            ("ABDOMEN", "AP", "ABDOMEN"),
            ("PELVIS", "AP", "PELVIS"),
            ("LSPINE", "LL", "L-SPINE LAT"),
        )
    )
    dataset.BodyPartExamined, dataset.ViewPosition = part, view
    dataset.StudyDescription = dataset.SeriesDescription = dataset.ProtocolName = description
    dataset.KVP = str(rng.choice((55, 60, 70, 81, 90, 102, 117, 125)))
    dataset.ExposureTime, dataset.XRayTubeCurrent, dataset.Exposure = rng.randint(2, 60), rng.randint(100, 400), 2
    dataset.ExposureInuAs, dataset.ExposureTimeInuS = rng.randint(200, 20000), rng.randint(2000, 60000)
    dataset.DistanceSourceToDetector, dataset.DistanceSourceToPatient = "1800", "1750"
    dataset.ImageAndFluoroscopyAreaDoseProduct = f"{rng.uniform(0.01, 2):.4f}"
    dataset.FilterType, dataset.Grid, dataset.FocalSpots = "NONE", rng.choice(("NONE", "FOCUSED")), "0.6"
    dataset.PatientOrientation = ["L", "F"]
    dataset.ImageLaterality = rng.choice("LRU")
    dataset.Sensitivity = str(rng.randint(100, 900))
    dataset.RelativeXRayExposure = rng.randint(100, 2000)
    dataset.ExposureIndex, dataset.TargetExposureIndex, dataset.DeviationIndex = "250.1", "300", "-0.8"


def _pixels(rng: random.Random, dataset: Dataset, bits: int, spacing: str) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = rng.choice(("MONOCHROME1", "MONOCHROME2"))
    dataset.Rows, dataset.Columns = rng.randint(1200, 3100), rng.randint(1200, 3100)
    dataset.PixelSpacing = dataset.ImagerPixelSpacing = [spacing, spacing]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, bits, bits - 1, 0
    dataset.WindowCenter, dataset.WindowWidth = str(1 << bits - 1), str(1 << bits)
    dataset.WindowCenterWidthExplanation = "NORMAL"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape = "INVERSE" if dataset.PhotometricInterpretation == "MONOCHROME1" else "IDENTITY"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"


def _radiograph(rng: random.Random, common: _Common, number: int) -> Dataset:
    dataset = _base(rng, common, number, ComputedRadiographyImageStorage, "CR")
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    _exposure(rng, dataset)
    _pixels(rng, dataset, rng.choice((10, 12)), rng.choice(("0.1", "0.15", "0.2", "0.175")))
    dataset.PlateID, dataset.CassetteOrientation, dataset.CassetteSize = "D1234567K", "PORTRAIT", "35CMX43CM"
    dataset.PlateType, dataset.PhosphorType = "ST-VI", "MD40"
    dataset.AcquisitionDeviceProcessingDescription, dataset.AcquisitionDeviceProcessingCode = "CHEST", "F_1"
    return dataset


def _detector(rng: random.Random, common: _Common, number: int) -> Dataset:
    dataset = _base(rng, common, number, DigitalXRayImageStorageForPresentation, "DX")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.PresentationIntentType = "FOR PRESENTATION"
    _exposure(rng, dataset)
    _pixels(rng, dataset, rng.choice((12, 14, 15, 16)), rng.choice(("0.139", "0.143", "0.14", "0.125", "0.148")))
    dataset.DetectorType, dataset.DetectorConfiguration = "SCINTILLATOR", "AREA"
    dataset.DetectorDescription, dataset.DetectorID = "CsI", f"DET{common.serial}"
    dataset.DateOfLastDetectorCalibration = common.date
    dataset.DetectorTemperature, dataset.DetectorConditionsNominalFlag = "31.4", "YES"
    dataset.DetectorActiveShape, dataset.FieldOfViewShape = "RECTANGLE", "RECTANGLE"
    dataset.FieldOfViewDimensions, dataset.FieldOfViewRotation = [427, 356], "0"
    dataset.FieldOfViewOrigin, dataset.FieldOfViewHorizontalFlip = ["0", "0"], "NO"
    dataset.CollimatorShape = "RECTANGULAR"
    dataset.CollimatorLeftVerticalEdge, dataset.CollimatorRightVerticalEdge = "12", "2488"
    dataset.CollimatorUpperHorizontalEdge, dataset.CollimatorLowerHorizontalEdge = "20", "2980"
    dataset.PositionerType, dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = (
        "NONE",
        "LOG",
        -1,
    )
    dataset.AcquisitionContextSequence = Sequence([])
    region = _code("43799004", "SCT", "Thoracic cavity structure")
    region.AnatomicRegionModifierSequence = Sequence([])
    dataset.AnatomicRegionSequence = Sequence([region])
    dataset.ViewCodeSequence = Sequence([_code("399348003", "SCT", "antero-posterior")])
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([])
    dataset.ExposureControlMode, dataset.AnodeTargetMaterial = "MANUAL", "TUNGSTEN"
    dataset.WindowCenterWidthExplanation = ["NORMAL", "HARDER", "SOFTER"]
    dataset.WindowCenter, dataset.WindowWidth = ["2048", "2048", "2048"], ["4096", "3072", "5120"]
    if rng.random() < 0.3:
        dataset.VOILUTFunction = "SIGMOID"
    return dataset


def _ultrasound(rng: random.Random, common: _Common, number: int, sop_class: str) -> Dataset:
    dataset = _base(rng, common, number, sop_class, "US")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "", rng.choice(("0001", "0011", "1001"))]
    dataset.StudyDescription = rng.choice(("ABDOMEN", "OB", "FAST", "Echocardiogram", "LUNG"))
    dataset.BodyPartExamined = "ABDOMEN"
    dataset.TransducerData, dataset.ProcessingFunction = ["C5-1", "", ""], "ABD"
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.PhotometricInterpretation = rng.choice(("RGB", "YBR_FULL_422", "YBR_FULL"))
    dataset.Rows, dataset.Columns = rng.choice(((480, 640), (600, 800), (768, 1024), (720, 960)))
    dataset.UltrasoundColorDataPresent = rng.choice((0, 1))
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "YES", rng.choice(("00", "01"))
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 2
    region.RegionLocationMinX0, region.RegionLocationMinY0 = rng.randint(0, 120), rng.randint(0, 90)
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = dataset.Columns - 1, dataset.Rows - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = rng.uniform(0.01, 0.06)
    region.ReferencePixelX0, region.ReferencePixelY0 = rng.randint(200, 500), 0
    region.ReferencePixelPhysicalValueX = region.ReferencePixelPhysicalValueY = 0.0
    region.TransducerFrequency = rng.choice((2000, 3500, 5000, 7500))
    dataset.SequenceOfUltrasoundRegions = Sequence([region])
    return dataset


def _still(rng: random.Random, common: _Common, number: int) -> Dataset:
    return _ultrasound(rng, common, number, UltrasoundImageStorage)


def _loop(rng: random.Random, common: _Common, number: int) -> Dataset:
    dataset = _ultrasound(rng, common, number, UltrasoundMultiFrameImageStorage)
    dataset.NumberOfFrames = rng.randint(20, 200)
    dataset.FrameTime = f"{rng.choice((33.333, 40.0, 16.67, 25.0))}"
    dataset.FrameIncrementPointer = 0x00181063
    dataset.RecommendedDisplayFrameRate, dataset.CineRate = 30, 30
    dataset.StartTrim, dataset.StopTrim, dataset.HeartRate = 1, dataset.NumberOfFrames, rng.randint(50, 120)
    dataset.ActualFrameDuration, dataset.PreferredPlaybackSequencing = 33, 0
    dataset.LossyImageCompressionRatio, dataset.LossyImageCompressionMethod = "12.5", "ISO_10918_1"
    return dataset


def _capture(rng: random.Random, common: _Common, number: int) -> Dataset:
    dataset = _base(rng, common, number, SecondaryCaptureImageStorage, rng.choice(("OT", "US", "DX")))
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.ConversionType = rng.choice(("WSD", "DI", "SD"))
    dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = common.date, common.time
    dataset.SecondaryCaptureDeviceManufacturer = common.console.manufacturer
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.Rows, dataset.Columns = 768, 1024
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    return dataset


def _photograph(rng: random.Random, common: _Common, number: int) -> Dataset:
    dataset = _base(rng, common, number, VLPhotographicImageStorage, "XC")
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "YBR_FULL_422", 0
    dataset.Rows, dataset.Columns = 1080, 1920
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.AcquisitionContextSequence = Sequence([])
    dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", "ISO_10918_1"
    return dataset


def _written(rng: random.Random, dataset: Dataset, common: _Common) -> bytes:
    """As Orthanc stores it: DCMTK's meta information in front, private elements of the maker in some."""
    meta = dataset.file_meta = FileMetaDataset()
    meta.TransferSyntaxUID = common.syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    implementation = rng.choice(_IMPLEMENTATIONS)
    meta.ImplementationClassUID, meta.ImplementationVersionName = UID(implementation[0]), implementation[1]
    if rng.random() < 0.5:
        meta.SourceApplicationEntityTitle = common.station
    undefined = rng.random() < 0.5
    for element in dataset.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    file.write(b"\xe0\x7f\x10\x00" + _pixel_head(common.syntax))
    return file.getvalue()


def _pixel_head(syntax: UID) -> bytes:
    """What follows the tag of the pixel data, up to where a hole begins."""
    if syntax == ImplicitVRLittleEndian:
        return bytes(4)
    if syntax == ExplicitVRLittleEndian:
        return b"OW" + bytes(6)
    return b"OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0" + bytes(4) + b"\xfe\xff\x00\xe0" + bytes(4)
