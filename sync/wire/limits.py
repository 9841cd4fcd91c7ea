"""Every bound of the wire form, with its arithmetic. Decoders refuse what is beyond one before they allocate for it."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """Bounds of one instance's parts and of one header part; both sides use the same defaults."""

    file_bytes_max: int = 2 * GIB
    """The door's ``object_bytes_max``: nothing larger is ever stored."""

    header_part_bytes_max: int = 16 * MIB
    header_part_unpacked_bytes_max: int = 64 * MIB
    """Skeletons of one part together: 1,000 headers of 64 KiB."""
    header_ratio_max: int = 4096
    """Unpacked to packed. 1,000 equal headers of 4 KiB differ by their UIDs and digests, 40 bytes each: about 100."""
    skeleton_bytes_max: int = 4 * MIB
    skeleton_count_max: int = 10_000
    hole_count_max: int = 200_000
    """Fragments of pixel data: an hour of video at 50 frames a second."""
    literal_run_bytes_max: int = 512 * KIB
    """Between two holes. A longer run becomes a hole itself, so that a skeleton stays small whatever the file is."""

    block_count_max: int = 1_000_000
    block_bytes_max: int = 16 * MIB
    """Original bytes of one block: a band of 1.5 Mpx with three 16-bit samples is 9 MiB; a JPEG frame is one block."""
    ratio_max: int = 2_000
    """Original to coded bytes of a whole pixel part beyond ``ratio_free_bytes``. An encoder with an emptier picture
    than that adds filler, 0.05 % of what it saved; a bomb has to be sent first."""
    ratio_free_bytes: int = 64 * MIB
    filler_bytes_max: int = 2 * MIB
    """Of one block: ``file_bytes_max / ratio_max`` is 1 MiB."""
    history_bytes_max: int = 16 * MIB
    """How far back a block may refer: one frame of a loop, kept in memory while decoding."""
    zstd_window_bytes_max: int = 8 * MIB

    image_pixels_max: int = 4 * MIB
    """Pixels of one JPEG XL image of samples; encoders stay below ``image_band_pixels_max``."""
    image_band_pixels_max: int = 3 * MIB // 2
    """Encoding at effort 7 takes up to 110 bytes of memory a pixel (measured), and bands cost less than 1 % of size."""
    image_edge_pixels_max: int = 2048
    """Beyond it libjxl 0.11 encodes piecewise and loses some of what effort 7 gains: 2 % of a noisy film (measured)."""
    jpeg_pixels_max: int = 8 * MIB
    """Of one JPEG frame to be recompressed, which takes 24 bytes of memory a pixel (measured): 200 MB. Loops have a
    tenth of that; larger photographs travel as they are."""

    preview_samples_max: int = 64 * MIB
    """Of the one frame that is decoded for a preview; a film of 43 x 43 cm at 0.1 mm has 18 million."""
    preview_inflated_bytes_max: int = 128 * MIB
    """Of a deflated data set, which has to be inflated as a whole."""
    preview_edge_pixels: int = 1024
    preview_still_bytes_max: int = 60_000
    preview_ultrasound_bytes_max: int = 30_000
    """Of an ultrasound picture, and of the one frame that stands for a loop of any kind."""


DEFAULT_LIMITS = WireLimits()
