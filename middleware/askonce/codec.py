"""The one codec of every backend: entries and plain JSON values as bytes, and back. Pure.

::

    magic 3 | version 1 | kind 1 | BLAKE2b over all the rest 16 | MessagePack

The kind is ``E`` for an entry or ``V`` for a value. What comes back from a store is not trusted:
the checksum covers every byte, an entry must name the key that it was found under, and every field
must have its type. Whatever is wrong with the bytes is an :class:`~askonce.errors.EntryError`,
which a reader counts as a miss. Nothing is ever unpickled or evaluated.

Numbers alone (floats, and integers of 64 bits) are written as bare decimal text instead, so that a
server can add to them where they are (``INCRBYFLOAT`` of Redis). They carry no checksum, and are
never taken for an entry.
"""

from __future__ import annotations

import math
import re
from hashlib import blake2b
from typing import Any, Final, TypeAlias, TypeGuard, cast

import msgspec

from askonce.entry import Entry
from askonce.errors import EntryError

JSON: TypeAlias = Any
"""None, bool, int, float, str, or a list or dict (with str keys) of these."""

MAGIC: Final = b"\xa5ao"
VERSION: Final = 1
_ENTRY: Final = b"E"
_VALUE: Final = b"V"
_DIGEST_BYTES: Final = 16
_MARK_BYTES: Final = len(MAGIC) + 2
_BODY: Final = _MARK_BYTES + _DIGEST_BYTES

_DECIMAL: Final = re.compile(rb"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
_NUMBERS: Final = (int, float)
_LARGE_INT: Final = 1
_MAX_DEPTH: Final = 200

Number: TypeAlias = int | float


def encode(entry: Entry) -> bytes:
    """Write an entry.

    Args:
        entry: What to write; its ``key`` is part of the bytes.
    """
    return _sealed(_ENTRY, _ENCODER.encode(entry))


def decode(data: bytes, key: str) -> Entry:
    """Read an entry.

    Args:
        data: What a backend holds under ``key``.
        key: The physical key, ``<namespace>:<hex>``.

    Raises:
        EntryError: These are not the bytes of an entry that this version wrote for that key.
    """
    try:
        entry = _ENTRY_DECODER.decode(_opened(_ENTRY, data))
    except _UNREADABLE as error:
        raise EntryError(f"not an entry: {error}") from error
    if entry.key != key:
        raise EntryError("an entry of another key")
    return entry


def encode_value(value: JSON) -> bytes:
    """Write a plain JSON value. Numbers become bare decimal text, if they fit 64 bits.

    Args:
        value: Any JSON value; tuples are written as lists.

    Raises:
        TypeError: JSON has no such value: a set, a dict with keys that are not str, ...
        ValueError: Infinite or NaN, a lone surrogate, or nested more than 200 deep.
    """
    plain = _plain(value, 0)
    if type(plain) in _NUMBERS:
        return repr(plain).encode()
    return _sealed(_VALUE, _ENCODER.encode(plain))


def decode_value(data: bytes) -> JSON:
    """Read a plain JSON value.

    Args:
        data: What a backend holds: bytes of ``encode_value``, or bare decimal text.

    Raises:
        EntryError: These are not the bytes of a JSON value that this version wrote.
    """
    if _DECIMAL.fullmatch(data):
        return _number(data)
    try:
        return _VALUE_DECODER.decode(_opened(_VALUE, data))
    except _UNREADABLE as error:
        raise EntryError(f"not a value: {error}") from error


def decode_number(data: bytes) -> Number | None:
    """Read a counter; None if the bytes are something else."""
    return _number(data) if _DECIMAL.fullmatch(data) else None


def _number(text: bytes) -> Number:
    if text.lstrip(b"-").isdigit():
        return int(text)
    number = float(text)
    if math.isinf(number):
        raise EntryError("a number beyond all floats")
    return number


def _sealed(kind: bytes, payload: bytes) -> bytes:
    mark = MAGIC + bytes((VERSION,)) + kind
    return b"".join((mark, _digest(mark, payload), payload))


def _opened(kind: bytes, data: bytes) -> memoryview:
    view = memoryview(data)
    mark = bytes(view[:_MARK_BYTES])
    if mark[: len(MAGIC)] != MAGIC or len(data) < _BODY:
        raise EntryError("these bytes are not askonce's")
    if mark[-2] != VERSION:
        raise EntryError(f"written in format {mark[-2]}; this version reads {VERSION}")
    if mark[-1:] != kind:
        raise EntryError("of another kind than was asked for")
    if bytes(view[_MARK_BYTES:_BODY]) != _digest(mark, view[_BODY:]):
        raise EntryError("the checksum does not match")
    return view[_BODY:]


def _digest(mark: bytes, payload: bytes | memoryview) -> bytes:
    return blake2b(payload, digest_size=_DIGEST_BYTES, key=mark).digest()


def _plain(value: JSON, depth: int) -> Any:
    """Check that JSON has this value, and wrap the integers that MessagePack has not."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested more than {_MAX_DEPTH} deep")
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return _plain_number(value)
    if isinstance(value, (list, tuple)):
        items = cast("list[Any]", value)
        return [_plain(item, depth + 1) for item in items]
    if _is_dict(value):
        return _plain_object(value, depth)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _is_dict(value: JSON) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict)


def _plain_object(members: dict[Any, Any], depth: int) -> dict[str, Any]:
    for name in members:
        if not isinstance(name, str):
            raise TypeError(f"a JSON object has names of type str, not {type(name).__name__}")
    return {name: _plain(value, depth + 1) for name, value in members.items()}


def _plain_number(value: Number) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("JSON has neither infinities nor NaN")
        return float(value)
    return int(value) if -(2**63) <= value < 2**64 else _large(value)


def _large(value: int) -> msgspec.msgpack.Ext:
    width = value.bit_length() // 8 + 1
    return msgspec.msgpack.Ext(_LARGE_INT, value.to_bytes(width, "big", signed=True))


def _extended(code: int, data: memoryview) -> int:
    if code != _LARGE_INT:
        raise EntryError(f"unknown extension {code}")
    return int.from_bytes(data, "big", signed=True)


_ENCODER: Final = msgspec.msgpack.Encoder()
_ENTRY_DECODER: Final = msgspec.msgpack.Decoder(Entry)
_VALUE_DECODER: Final = msgspec.msgpack.Decoder(ext_hook=_extended)
# msgspec's ways to refuse bytes; UnicodeDecodeError and EntryError are ValueErrors too.
_UNREADABLE: Final = (ValueError, RecursionError, OverflowError, MemoryError)
