"""Content-Encoding, undone within bounds (RFC 9110 section 8.4). Pure.

Keys are made of decoded requests and stores hold decoded answers, so that one entry serves every
client whatever it accepts. Every decoder stops at a limit: a few kilobytes can unfold to gigabytes.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias, cast

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Decoder: TypeAlias = Callable[[bytes, int], bytes | None]


class _Decompressor(Protocol):
    """What brotli, which has no types of its own, is used for."""

    def process(self, data: bytes, *, output_buffer_limit: int) -> bytes: ...
    def is_finished(self) -> bool: ...


_Brotli = cast("Callable[[], _Decompressor]", brotli.Decompressor)  # pyright: ignore[reportUnknownMemberType]
_BrotliError = cast("type[Exception]", brotli.error)  # pyright: ignore[reportUnknownMemberType]


def decoded(data: bytes, coding: bytes, limit: int) -> bytes | None:
    """Undo one content coding.

    Args:
        data: The body as it was sent.
        coding: The value of Content-Encoding; empty for none. A list of several is not undone.
        limit: The most bytes that the decoded body may have.

    Returns:
        The decoded body, or None if the coding is unknown, the data is broken, truncated or
        followed by something else, or the body would be longer than ``limit``.
    """
    name = coding.strip().lower()
    if name in (b"", b"identity"):
        return data if len(data) <= limit else None
    decoder = _DECODERS.get(name)
    return decoder(data, limit) if decoder else None


def _gzip(data: bytes, limit: int) -> bytes | None:
    """RFC 1952: one member or more, one behind the other."""
    parts: list[bytes] = []
    while data:
        member = _inflated(data, 16 + zlib.MAX_WBITS, limit - sum(map(len, parts)))
        if member is None:
            return None
        part, data = member
        parts.append(part)
    return b"".join(parts) if parts else None


def _deflate(data: bytes, limit: int) -> bytes | None:
    """RFC 1950; some senders leave its wrapper out and send RFC 1951 bare."""
    for window_bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        member = _inflated(data, window_bits, limit)
        if member is not None:
            return None if member[1] else member[0]
    return None


def _inflated(data: bytes, window_bits: int, limit: int) -> tuple[bytes, bytes] | None:
    decompressor = zlib.decompressobj(window_bits)
    try:
        part = decompressor.decompress(data, limit + 1)
    except zlib.error:
        return None
    if not decompressor.eof or len(part) > limit:
        return None
    return part, decompressor.unused_data


def _brotli(data: bytes, limit: int) -> bytes | None:
    """RFC 7932."""
    decompressor = _Brotli()
    parts: list[bytes] = []
    room = limit + 1
    try:
        while room > 0 and not decompressor.is_finished():
            part = decompressor.process(data, output_buffer_limit=room)
            if not part and not data:
                return None
            parts.append(part)
            room -= len(part)
            data = b""
    except _BrotliError:
        return None
    return b"".join(parts) if room > 0 else None


def _zstd(data: bytes, limit: int) -> bytes | None:
    """RFC 8878: one frame or more, one behind the other."""
    parts: list[bytes] = []
    room = limit + 1
    while data and room > 0:
        frame = zstd.ZstdDecompressor()
        try:
            part = frame.decompress(data, max_length=room)
        except zstd.ZstdError:
            return None
        if not frame.eof:
            return None
        parts.append(part)
        room -= len(part)
        data = frame.unused_data
    return b"".join(parts) if parts and room > 0 else None


_DECODERS: Mapping[bytes, Decoder] = {
    b"gzip": _gzip,
    b"x-gzip": _gzip,
    b"deflate": _deflate,
    b"br": _brotli,
    b"zstd": _zstd,
}
