"""What H.264 sequence parameters say (ITU-T H.264 section 7.3.2.1.1), and which transfer syntax may hold them; pure.

A decoder of DICOM's High Profile transfer syntaxes plays High, Main and Constrained Baseline (H.264 annex A.2); nothing
else is let in. Sizes and speeds are those of H.264 table A-1.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.imports.problems import ImportProblem

HIGH_41_UID = "1.2.840.10008.1.2.4.102"
HIGH_42_UID = "1.2.840.10008.1.2.4.104"
_BASELINE, _MAIN, _HIGH = 66, 77, 100
_CONSTRAINT_SET_1 = 0x40
"""With profile 66: Constrained Baseline."""
_BOUNDS = ((41, 8192, 245_760, HIGH_41_UID), (42, 8704, 522_240, HIGH_42_UID))
"""Level, macroblocks a picture, macroblocks a second, transfer syntax."""
_RATE_TOLERANCE = 1.02
"""Clocks of telephones make 30.3 pictures a second of 30."""
_CODE_BITS_MAX = 32


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """What of a sequence parameter set matters here."""

    profile: int
    constraints: int
    level: int
    rows: int
    columns: int
    macroblock_count: int
    """Of one picture."""


class _Bits:
    """Reads bits of a NAL unit's payload, without its emulation prevention bytes."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ImportProblem("video-damaged", "its parameters are cut off")
        self._left -= count
        return (self._number >> self._left) & ((1 << count) - 1)

    def code(self) -> int:
        """An unsigned Exp-Golomb code, ue(v)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _CODE_BITS_MAX:
                raise ImportProblem("video-damaged", "its parameters make no sense")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_code(self) -> int:
        """A signed one, se(v)."""
        code = self.code()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def read_parameters(nal_unit: bytes) -> SequenceParameters:
    """Read a sequence parameter set.

    Raises:
        ImportProblem: ``video-damaged``, or ``video-profile`` / ``video-interlaced`` when DICOM cannot hold the stream.
    """
    if len(nal_unit) < 5 or nal_unit[0] & 0x1F != 7:
        raise ImportProblem("video-damaged", "no sequence parameters")
    profile, constraints, level = nal_unit[1:4]
    is_constrained = bool(constraints & _CONSTRAINT_SET_1)
    if profile not in (_MAIN, _HIGH) and not (profile == _BASELINE and is_constrained):
        raise ImportProblem("video-profile", f"profile {profile}, constraints {constraints:02x}")
    bits = _Bits(nal_unit[4:].replace(b"\0\0\3", b"\0\0"))
    bits.code()  # its number
    if profile == _HIGH:
        _check_sampling(bits)
    bits.code()  # log2_max_frame_num
    _skip_picture_order(bits)
    bits.code()  # max_num_ref_frames
    bits.take(1)
    columns, rows = bits.code() + 1, bits.code() + 1
    if max(rows, columns) > 4096:
        raise ImportProblem("video-level", f"{columns} x {rows} macroblocks")
    if not bits.take(1):
        raise ImportProblem("video-interlaced")
    bits.take(1)
    left, right, top, bottom = (bits.code() for _ in range(4)) if bits.take(1) else (0, 0, 0, 0)
    height, width = 16 * rows - 2 * (top + bottom), 16 * columns - 2 * (left + right)
    if height <= 0 or width <= 0:
        raise ImportProblem("video-damaged", "nothing of the picture is shown")
    return SequenceParameters(profile, constraints, level, height, width, rows * columns)


def _check_sampling(bits: _Bits) -> None:
    """High Profile is 4:2:0 with 8 bits, whatever a stream claims."""
    if bits.code() != 1 or bits.code() or bits.code():
        raise ImportProblem("video-profile", "not 4:2:0 with 8 bits")
    bits.take(1)
    if bits.take(1):
        for number in range(8):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if number < 6 else 64)


def _skip_scaling_list(bits: _Bits, count: int) -> None:
    """H.264 section 7.3.2.1.1.1."""
    last = 8
    for _ in range(count):
        last = (last + bits.signed_code()) % 256
        if not last:
            return


def _skip_picture_order(bits: _Bits) -> None:
    kind = bits.code()
    if kind == 0:
        bits.code()
    elif kind == 1:
        bits.take(1)
        bits.code()
        bits.code()
        count = bits.code()
        if count > 255:
            raise ImportProblem("video-damaged", "its parameters make no sense")
        for _ in range(count):
            bits.code()


def transfer_syntax_for(parameters: SequenceParameters, pictures_per_s: float) -> str:
    """The lowest of DICOM's transfer syntaxes that may hold the stream.

    Raises:
        ImportProblem: ``video-level`` when none may.
    """
    macroblocks_per_s = parameters.macroblock_count * pictures_per_s
    for level, picture_max, rate_max, uid in _BOUNDS:
        fits = parameters.macroblock_count <= picture_max and macroblocks_per_s <= rate_max * _RATE_TOLERANCE
        if parameters.level <= level and fits:
            return uid
    raise ImportProblem(
        "video-level",
        f"level {parameters.level}, {parameters.columns} x {parameters.rows}, {pictures_per_s:.1f} a second",
    )
