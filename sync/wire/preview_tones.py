"""From stored values to what a person should see: the grey-scale pipeline of PS3.3 section C.11 and colours, in numpy.

Pictures are made small first, by averaging areas, and then run through the pipeline: averaging keeps thin lines that
picking pixels would drop, and the pipeline then costs a megapixel whatever the detector has.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

_PERCENTILES = (0.5, 99.5)
_SIXTEEN_BITS = 0xFFFF


def fitted(height: int, width: int, edge: int) -> tuple[int, int]:
    """The size that fits into a square of ``edge`` pixels, never larger than it is."""
    longest = max(height, width)
    if longest <= edge:
        return height, width
    return max(1, round(height * edge / longest)), max(1, round(width * edge / longest))


def averaged(samples: NDArray[Any], height: int, width: int, used: NDArray[np.bool_] | None = None) -> Floats:
    """Area averages in ``height`` x ``width``, which are at most the size of the samples.

    Args:
        samples: (rows, columns) or (rows, columns, channels).
        height: Of the result.
        width: Of the result.
        used: Which pixels count; an area without any gives NaN.
    """
    rows, columns = samples.shape[:2]
    if (height, width) == (rows, columns) and used is None:
        return samples.astype(np.float64)
    out = np.empty((height, width, *samples.shape[2:]), dtype=np.float64)
    edges = np.arange(width + 1) * (columns / width)
    for line in range(height):
        top, bottom = line * rows / height, (line + 1) * rows / height
        first, last = int(top), min(rows, int(np.ceil(bottom)))
        weights = np.minimum(np.arange(first, last) + 1, bottom) - np.maximum(np.arange(first, last), top)
        band = samples[first:last].astype(np.float64)
        if used is None:
            out[line] = _across(np.tensordot(weights, band, axes=1), edges) / (rows / height * columns / width)
            continue
        counted = used[first:last]
        band[~counted] = 0.0
        total = _across(np.tensordot(weights, counted.astype(np.float64), axes=1), edges)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(total > 1e-9, total, np.nan)
            out[line] = _across(np.tensordot(weights, band, axes=1), edges) / share
    return out


def _across(line: Floats, edges: Floats) -> Floats:
    """Integrals of a line of pixels between edges."""
    running = np.concatenate([np.zeros((1, *line.shape[1:])), np.cumsum(line, axis=0)])
    whole = np.minimum(edges.astype(np.int64), len(line))
    part = edges - whole
    after = line[np.minimum(whole, len(line) - 1)]
    at_edges = running[whole] + (part if line.ndim == 1 else part[:, None]) * after
    return np.asarray(np.diff(at_edges, axis=0), dtype=np.float64)


# --- grey ----------------------------------------------------------------------------------------------------------


def stored_values(samples: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Only the bits that are stored, with their sign (PS3.5 section 8.1.1); decoded floats stay."""
    if samples.dtype.kind == "f" or samples.dtype.itemsize > 4:
        return samples
    width = samples.dtype.itemsize * 8
    stored = int(header.get("BitsStored") or width)
    low = int(header.get("HighBit") or stored - 1) + 1 - stored
    if not 0 < stored <= width or low < 0 or low + stored > width:
        stored, low = width, 0
    words = samples.view(f"u{samples.dtype.itemsize}")
    left = width - stored - low
    if header.get("PixelRepresentation") == 1:
        signed = (words << words.dtype.type(left)).view(f"i{width // 8}")
        return np.asarray(signed >> signed.dtype.type(left + low))
    return np.asarray(words >> words.dtype.type(low) & words.dtype.type((1 << stored) - 1))


def padding_mask(values: NDArray[Any], header: Dataset) -> NDArray[np.bool_] | None:
    """Pixels that are a picture; None where no padding is declared (PS3.3 section C.7.5.1.1.2)."""
    padding = _number(header.get("PixelPaddingValue"))
    if padding is None:
        return None
    other = _number(header.get("PixelPaddingRangeLimit"))
    low, high = sorted((padding, padding if other is None else other))
    used = (values < low) | (values > high)
    return None if used.all() or not used.any() else used


def grey(values: Floats, header: Dataset, index: int) -> Bytes:
    """Averaged stored values as display values, 0 black; NaN, which is padding, becomes black.

    The order is modality transformation, VOI transformation, presentation (PS3.4 annex N.2).
    """
    is_padding = np.isnan(values)
    values = np.where(is_padding, 0.0, values)
    values = _modality(values, header, index)
    shown = _voi(values, header, index)
    if shown is None:
        shown = _spread(values, ~is_padding)
    if _is_inverted(header):
        shown = 1.0 - shown
    shown[is_padding] = 0.0
    return np.asarray(np.rint(np.clip(shown, 0.0, 1.0) * 255.0), dtype=np.uint8)


def _is_inverted(header: Dataset) -> bool:
    """Least value white. A MONOCHROME1 radiograph says INVERSE as well and means it once (PS3.3 section C.11.6)."""
    return bool(
        header.get("PhotometricInterpretation") == "MONOCHROME1" or header.get("PresentationLUTShape") == "INVERSE"
    )


def _modality(values: Floats, header: Dataset, index: int) -> Floats:
    table = _first_item(header, "ModalityLUTSequence")
    if table is not None and (looked_up := _through_table(values, table, header)) is not None:
        return looked_up
    source = _for_frame(header, "PixelValueTransformationSequence", index) or header
    slope, intercept = _number(source.get("RescaleSlope")), _number(source.get("RescaleIntercept"))
    return values * (slope if slope else 1.0) + (intercept or 0.0)


def _voi(values: Floats, header: Dataset, index: int) -> Floats | None:
    """Display values 0 to 1; None where the header gives no sensible window."""
    source = _for_frame(header, "FrameVOILUTSequence", index) or header
    table = _first_item(source, "VOILUTSequence")
    if table is not None and (looked_up := _through_table(values, table, header)) is not None:
        return _scaled(looked_up, table)
    centre, width = _number(source.get("WindowCenter")), _number(source.get("WindowWidth"))
    if centre is None or width is None:
        return None
    function = str(source.get("VOILUTFunction") or "LINEAR").upper()
    if function == "SIGMOID" and width > 0:
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -60.0, 60.0))))
    if function == "LINEAR_EXACT" and width > 0:
        return np.asarray(np.clip((values - centre) / width + 0.5, 0.0, 1.0))
    if width < 1:
        return None
    if width == 1:
        return np.asarray(values > centre - 0.5, dtype=np.float64)
    return np.asarray(np.clip((values - (centre - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0))


def _spread(values: Floats, used: NDArray[np.bool_]) -> Floats:
    """Without a window: nearly all values between black and white."""
    if not used.any():
        return np.zeros_like(values)
    finite = values[used & np.isfinite(values)]
    low, high = np.percentile(finite, _PERCENTILES) if finite.size else (0.0, 0.0)
    if high <= low:
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if high <= low:
        return np.full_like(values, 0.5)
    return np.asarray(np.clip((np.nan_to_num(values, posinf=high, neginf=low) - low) / (high - low), 0.0, 1.0))


def _through_table(values: Floats, item: Dataset, header: Dataset) -> Floats | None:
    """Values through a LUT, between its entries linearly; None where it is malformed (PS3.3 section C.11.1.1.1)."""
    try:
        count, first, _ = (int(each) for each in item.LUTDescriptor)
        data = _table_data(item)
    except (AttributeError, TypeError, ValueError):
        return None
    count = count or 1 << 16
    if first > 0x7FFF and header.get("PixelRepresentation") == 1:
        first -= 1 << 16
    data = data[:count]
    if len(data) < 2:
        return None
    return np.asarray(np.interp(values, first + np.arange(len(data)), data))


def _table_data(item: Dataset) -> Floats:
    raw = item.LUTData
    if isinstance(raw, bytes):
        count, _, bits = (int(each) for each in item.LUTDescriptor)
        if bits <= 8 and len(raw) < 2 * count:
            return np.frombuffer(raw, dtype=np.uint8).astype(np.float64)
        return np.frombuffer(raw[: len(raw) // 2 * 2], dtype="<u2").astype(np.float64)
    return np.asarray(raw, dtype=np.float64) % (1 << 16)


def _scaled(looked_up: Floats, item: Dataset) -> Floats:
    """0 to 1 by the bits that the descriptor declares, or by those in use where it declares far too many."""
    bits = int(item.LUTDescriptor[2])
    top = float((1 << bits) - 1) if 8 <= bits <= 16 else 1.0
    most = float(_table_data(item).max())
    if most > top or most < top / 4:
        top = max(1.0, most)
    return looked_up / top


def _for_frame(header: Dataset, keyword: str, index: int) -> Dataset | None:
    """The item of a functional group macro for a frame: its own, or the shared one (PS3.3 section C.7.6.16)."""
    frames = header.get("PerFrameFunctionalGroupsSequence") or []
    own = _first_item(frames[index], keyword) if index < len(frames) else None
    if own is not None:
        return own
    shared = _first_item(header, "SharedFunctionalGroupsSequence")
    return None if shared is None else _first_item(shared, keyword)


def _first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    items = dataset.get(keyword)
    return items[0] if items else None


def _number(value: Any) -> float | None:
    """The first value of an element as a number."""
    if value is None or value == "":
        return None
    if not isinstance(value, (int, float, str)):
        with suppress(TypeError, IndexError):
            value = value[0]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


# --- colour --------------------------------------------------------------------------------------------------------


def palette_colour(values: NDArray[Any], header: Dataset) -> NDArray[Any] | None:
    """(rows, columns, 3) of indices through the palette, 0 to 255; None where there is none."""
    channels = []
    for name in ("Red", "Green", "Blue"):
        descriptor = header.get(f"{name}PaletteColorLookupTableDescriptor")
        data = header.get(f"{name}PaletteColorLookupTableData")
        if descriptor is None or not isinstance(data, bytes):
            return None
        count, first, bits = (int(each) for each in descriptor)
        count = count or 1 << 16
        one_byte = bits <= 8 and len(data) < 2 * count
        table = np.frombuffer(data[: len(data) // 2 * 2], dtype=np.uint8 if one_byte else "<u2").astype(np.float64)
        table = table[:count]
        if not len(table):
            return None
        if table.max() > 255:
            table = table / 257.0
        at = np.clip(values.astype(np.int32) - first, 0, len(table) - 1)
        channels.append(np.rint(table).astype(np.uint8)[at])
    return np.stack(channels, axis=-1)


def rgb_of_ybr(samples: Floats, photometric: str) -> Floats:
    """YCbCr, 0 to 255, as RGB; the partial range of YBR_PARTIAL_422 stretched (PS3.3 section C.7.6.3.1.2)."""
    y, blue, red = (samples[:, :, channel] for channel in range(3))
    if photometric.startswith("YBR_PARTIAL"):
        y, blue, red = (y - 16) * (255 / 219), (blue - 128) * (255 / 224), (red - 128) * (255 / 224)
    else:
        blue, red = blue - 128, red - 128
    rgb = np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], axis=-1)
    return np.asarray(np.clip(rgb, 0, 255), dtype=np.float64)
