"""The canonical form of JSON values: different values have different bytes, equal ones the same.

It is MessagePack, which tags every value with its type and prefixes every length: 1, 1.0, "1", true
and null all differ, and nothing can be read as two things. What JSON leaves open is settled here:

- *Numbers.* An integer is its value; any other number is the text of its literal, as no float keeps
  it all. Where an API documents a number, ``exact`` makes 1, 1.0 and 1e0 one value beforehand
  (RFC 8259 section 6 leaves that to the reader).
- *Order* of members means nothing (RFC 8259 section 4), except around a JSON schema, since
  providers answer in the schema's order: https://platform.openai.com/docs/guides/structured-outputs
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any, Final

import jiter
from msgspec.msgpack import Encoder, Ext

from askonce.calls.lossless import is_list, is_object

# Extension codes: a value of one kind never equals one of another kind, nor anything JSON has.
_LITERAL: Final = 1
_NUMBER: Final = 2
_IDENTITY: Final = 3

_NUMERAL: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")
_NATIVE_DIGITS: Final = 18  # any integer of so many digits fits MessagePack's 64 bits
_NATIVE_BITS: Final = 59  # ... and any of so many bits has no more digits
_WRITABLE_BITS: Final = 2048  # Python can be told not to write integers of 640 digits
_FREQUENT_LENGTH: Final = 24
_SCHEMA_MARK: Final = b"\xaaproperties"  # MessagePack's form of the member's name
_MAX_DEPTH: Final = 200  # jiter's own limit
_TYPES: Final = frozenset({dict, list, str, int, float, bool, type(None), jiter.LosslessFloat})


def canonical_form(loose: dict[str, Any], ordered: dict[str, Any]) -> bytes | None:
    """Write an object's members, which come in two groups; both dictionaries are used up.

    Args:
        loose: Members in which order means nothing, unless they turn out to hold a JSON schema.
        ordered: Members in which the order of objects' members counts.

    Returns:
        The form, or None if there is no exact one: an integer beyond 64 bits, a lone surrogate,
        nesting without end, a type that JSON does not have.
    """
    try:
        form = _SORTED.encode(loose)
        # One byte is found ten times as fast as several, and ASCII text does not have this one.
        if _SCHEMA_MARK[:1] in form and _SCHEMA_MARK in form:
            for name in [name for name, value in loose.items() if _holds_schema(value)]:
                ordered[name] = loose.pop(name)
            form = _SORTED.encode(loose)
        if not ordered:
            return form
        # The members' own order never counts, only what is inside them.
        return form + _AS_GIVEN.encode(dict(sorted(ordered.items())))
    except (OverflowError, RecursionError, TypeError, UnicodeEncodeError):
        return None  # msgspec's ways to say it


def packed(value: Any) -> bytes:
    """Write a value made of tuples, lists, strings, bytes, integers, None and identities."""
    return _AS_GIVEN.encode(value)


@lru_cache(maxsize=256)
def identity(names: tuple[str, ...]) -> Ext:
    """Make the one value that stands for all of ``names``; it is no string, so none has it."""
    return Ext(_IDENTITY, _SORTED.encode(sorted(set(names))))


def exact(value: Any) -> Any:
    """Give equal numbers one form, whatever their literals; anything else is returned as it is.

    Any exponent is safe, as no power of ten is ever worked out.
    """
    if type(value) is jiter.LosslessFloat:
        text = str(value)
    elif type(value) is float:
        text = repr(value)
    elif type(value) is int and _NATIVE_BITS < value.bit_length() <= _WRITABLE_BITS:
        text = str(value)
    else:
        return value
    number = _frequent(text) if len(text) <= _FREQUENT_LENGTH else _number(text)
    return value if number is None else number


def exact_values(value: Any) -> Any:
    """Apply ``exact`` to every value of an object; anything else is returned as it is."""
    if not is_object(value):
        return value
    return {name: exact(number) for name, number in value.items()}


def _number(text: str) -> int | Ext | None:
    """The exact value of a decimal numeral, in its one form; None leaves the literal as it is."""
    numeral = _NUMERAL.fullmatch(text)
    if numeral is None:
        return None
    sign, whole, fraction, exponent = numeral.groups("")
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return 0
    if len(exponent) > _NATIVE_DIGITS:
        return None
    power = int(exponent or 0) - len(fraction) + len(digits) - len(significant)
    if 0 <= power <= _NATIVE_DIGITS - len(significant):
        return int(sign + significant + "0" * power)
    return Ext(_NUMBER, f"{sign}{significant}e{power}".encode())


_frequent: Final = lru_cache(maxsize=512)(_number)  # the same few temperatures, day in, day out


def _holds_schema(value: Any) -> bool:
    if is_object(value):
        return "properties" in value or any(map(_holds_schema, value.values()))
    return is_list(value) and any(map(_holds_schema, value))


def is_json(value: Any) -> bool:
    """Say whether a Python value is one that JSON has, so that its canonical form is exact.

    MessagePack writes a tuple like a list, a UUID like a string and a dataclass like a dict: two
    values that a Python callee can tell apart may have one form. And NaN equals nothing.
    """
    pending = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        inner = _inner(item)
        if inner is None or depth > _MAX_DEPTH:
            return False
        pending.extend((part, depth + 1) for part in inner)
    return True


def _inner(item: Any) -> list[Any] | None:
    """The values inside a JSON value; None if it is not one."""
    if type(item) not in _TYPES:  # a subclass may be anything
        return None
    if is_object(item):
        return list(item.values()) if all(type(name) is str for name in item) else None
    if isinstance(item, float):
        return [] if math.isfinite(item) else None
    return item if is_list(item) else []


def _literal(value: Any) -> Ext:
    if isinstance(value, jiter.LosslessFloat):
        return Ext(_LITERAL, bytes(value))
    raise TypeError(f"{type(value).__name__} has no exact form")


_SORTED: Final = Encoder(order="sorted", enc_hook=_literal)
_AS_GIVEN: Final = Encoder(enc_hook=_literal)
