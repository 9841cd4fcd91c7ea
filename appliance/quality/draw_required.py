"""Draws ``required.toml``: which attributes each kind of object must have with a value (type 1, PS3.3).

``python -m appliance.quality.draw_required FOLDER`` reads the standard's module tables as highdicom ships them
(``highdicom/_standard``, 22 MB, needed only here). Conditional and nested attributes are left out: whether they are
needed depends on what the picture shows, and a check that cries wolf is not read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

PICTURE = Path(__file__).with_name("required.toml")
CLASSES = {
    "1.2.840.10008.5.1.4.1.1.1": "computed-radiography-image",
    "1.2.840.10008.5.1.4.1.1.1.1": "digital-x-ray-image",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "digital-x-ray-image",
    "1.2.840.10008.5.1.4.1.1.1.2": "digital-mammography-x-ray-image",
    "1.2.840.10008.5.1.4.1.1.1.2.1": "digital-mammography-x-ray-image",
    "1.2.840.10008.5.1.4.1.1.1.3": "digital-intra-oral-x-ray-image",
    "1.2.840.10008.5.1.4.1.1.1.3.1": "digital-intra-oral-x-ray-image",
    "1.2.840.10008.5.1.4.1.1.3": "ultrasound-multi-frame-image",
    "1.2.840.10008.5.1.4.1.1.3.1": "ultrasound-multi-frame-image",
    "1.2.840.10008.5.1.4.1.1.6": "ultrasound-image",
    "1.2.840.10008.5.1.4.1.1.6.1": "ultrasound-image",
    "1.2.840.10008.5.1.4.1.1.7": "secondary-capture-image",
    "1.2.840.10008.5.1.4.1.1.7.1": "multi-frame-single-bit-secondary-capture-image",
    "1.2.840.10008.5.1.4.1.1.7.2": "multi-frame-grayscale-byte-secondary-capture-image",
    "1.2.840.10008.5.1.4.1.1.7.3": "multi-frame-grayscale-word-secondary-capture-image",
    "1.2.840.10008.5.1.4.1.1.7.4": "multi-frame-true-color-secondary-capture-image",
    "1.2.840.10008.5.1.4.1.1.2": "ct-image",
    "1.2.840.10008.5.1.4.1.1.4": "mr-image",
    "1.2.840.10008.5.1.4.1.1.12.1": "x-ray-angiographic-image",
    "1.2.840.10008.5.1.4.1.1.12.2": "x-ray-radiofluoroscopic-image",
    "1.2.840.10008.5.1.4.1.1.77.1.1": "vl-endoscopic-image",
    "1.2.840.10008.5.1.4.1.1.77.1.4": "vl-photographic-image",
    "1.2.840.10008.5.1.4.1.1.77.1.4.1": "video-photographic-image",
    "1.2.840.10008.5.1.4.1.1.88.11": "basic-text-sr",
    "1.2.840.10008.5.1.4.1.1.88.22": "enhanced-sr",
    "1.2.840.10008.5.1.4.1.1.88.33": "comprehensive-sr",
    "1.2.840.10008.5.1.4.1.1.88.59": "key-object-selection-document",
    "1.2.840.10008.5.1.4.1.1.88.67": "x-ray-radiation-dose-sr",
    "1.2.840.10008.5.1.4.1.1.11.1": "grayscale-softcopy-presentation-state",
    "1.2.840.10008.5.1.4.1.1.104.1": "encapsulated-pdf",
}
"""The kinds of ``docs/reference/quality.md``; retired ultrasound classes are judged as those that took their place."""

CONDITIONAL_INSIDE = ("sr-document-content",)
"""What such a module requires hangs on the type of the content item, which the flat tables do not say."""

OVERRIDDEN = {("general-series", "Modality"): "sc-equipment"}
"""What one module requires and another makes optional again for its objects (PS3.3 C.8.6.1)."""


def required(modules: dict[str, list[dict[str, Any]]], iod: list[dict[str, Any]]) -> list[str]:
    """Keywords of type 1 at the top level of the IOD's mandatory modules."""
    keys = [module["key"] for module in iod if module["usage"] == "M"]
    return sorted(
        {
            attribute["keyword"]
            for key in keys
            if key not in CONDITIONAL_INSIDE
            for attribute in modules.get(key, ())
            if attribute["type"] == "1" and not attribute["path"]
            if OVERRIDDEN.get((key, attribute["keyword"])) not in keys
        }
    )


def draw(folder: Path) -> str:
    """The table as TOML: ``classes`` by SOP Class UID, and the keywords of each of their ``iods``."""
    iods = json.loads((folder / "iod_module_map.json").read_text(encoding="utf-8"))
    modules = json.loads((folder / "module_attribute_map.json").read_text(encoding="utf-8"))
    lines = [
        "# Drawn by 'python -m appliance.quality.draw_required' from the standard's tables; never changed by hand."
    ]
    lines += ["[classes]", *(f'"{uid}" = "{iod}"' for uid, iod in CLASSES.items()), "", "[iods]"]
    for name in sorted(set(CLASSES.values())):
        lines += [f"{name} = [", *(f'  "{keyword}",' for keyword in required(modules, iods[name])), "]"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    PICTURE.write_text(draw(parser.parse_args().folder), encoding="utf-8")
