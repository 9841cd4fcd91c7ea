"""zstd in one bounded shot: the frame says its size, and the size is checked before anything is allocated."""

from __future__ import annotations

import zstandard

from sync.wire.errors import WireError

_MAGICLESS = zstandard.FORMAT_ZSTD1_MAGICLESS
WINDOW_LOG_MAX = 23
"""8 MiB, ``WireLimits.zstd_window_bytes_max``."""


def compress(data: bytes | memoryview, level: int, dictionary: zstandard.ZstdCompressionDict | None = None) -> bytes:
    """One magicless zstd frame with its content size, without checksum; the same bytes for the same input."""
    chosen = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=len(data), dict_size=len(dictionary.as_bytes()) if dictionary else 0
    )
    parameters = zstandard.ZstdCompressionParameters(
        format=_MAGICLESS,
        window_log=min(chosen.window_log, WINDOW_LOG_MAX),
        chain_log=chosen.chain_log,
        hash_log=chosen.hash_log,
        search_log=chosen.search_log,
        min_match=chosen.min_match,
        target_length=chosen.target_length,
        strategy=chosen.strategy,
        write_content_size=True,
        write_checksum=False,
        write_dict_id=False,
    )
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters).compress(data)


def decompress(
    data: bytes | memoryview,
    size_bytes: int,
    window_bytes_max: int,
    dictionary: zstandard.ZstdCompressionDict | None = None,
) -> bytes:
    """The content of one frame that must say, and have, ``size_bytes``; the caller has checked that number.

    Raises:
        WireError: If the frame is damaged, declares another size or too large a window, or is not alone.
    """
    try:
        head = zstandard.get_frame_parameters(data, format=_MAGICLESS)
        if head.content_size != size_bytes:
            raise WireError(f"a zstd frame declares {head.content_size} bytes instead of {size_bytes}")
        if head.window_size > window_bytes_max:
            raise WireError(
                f"a zstd frame asks for a window of {head.window_size} bytes, {window_bytes_max} are allowed"
            )
        if size_bytes == 0:
            return b""
        content = zstandard.ZstdDecompressor(dict_data=dictionary, format=_MAGICLESS).decompress(
            data, max_output_size=size_bytes, allow_extra_data=False
        )
    except (zstandard.ZstdError, MemoryError, ValueError) as error:
        raise WireError("a zstd frame is damaged") from error
    if len(content) != size_bytes:
        raise WireError("a zstd frame holds another size than it declares")
    return content
