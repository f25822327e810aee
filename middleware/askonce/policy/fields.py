"""How header fields are read: lists, tokens, quoted strings, numbers of seconds.

The syntax is RFC 9110 section 5.6. Reading never fails. A quoted string that is not closed on its
own line is no quoted string: its commas separate members, so that a ``no-store`` behind a stray
quote is heard rather than swallowed. An argument that is neither a token nor a quoted string is
given as empty, which no directive accepts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from askonce.entry import Headers

Fields: TypeAlias = Mapping[bytes, list[bytes]]
"""Header fields by lower-case name, each with all its values in order."""

MAX_SECONDS: Final = float(2**31)
"""The longest time that is told apart from a longer one, in seconds (RFC 9111 section 1.2.2)."""

TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# Possessive throughout, and a backslash pair outside a string is one step: after one failed
# attempt at a string no later quote starts another, so that time stays linear in the line.
_MEMBER: Final = re.compile(rb'(?:"(?:[^"\\]|\\.)*+"|\\["\\]|[^,])++', re.DOTALL)
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_SECONDS: Final = re.compile(rb"[0-9]+(?:\.[0-9]+)?")
_OWS: Final = b" \t"


def gather(headers: Headers, wanted: frozenset[bytes]) -> Fields:
    """Index the header fields with a ``wanted`` name by lower-case name, keeping every value."""
    return index([(low, value) for name, value in headers if (low := name.lower()) in wanted])


def index(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Index header fields, their names in lower case, keeping every value."""
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(value)
    return fields


def members(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes | None]]:
    """Read the members of a list of directives (RFC 9111 section 5.2).

    Args:
        lines: The field's lines, each read on its own.

    Yields:
        The directive's name in lower case, and its argument: unquoted and unescaped, None if
        there is no ``=``, empty if it could not be read.
    """
    for line in lines:
        for found in _MEMBER.findall(line):
            name, equals, argument = found.partition(b"=")
            name = name.strip(_OWS).lower()
            if name:
                yield name.decode("latin-1"), _argument(argument) if equals else None


def names(lines: Iterable[bytes]) -> list[bytes]:
    """Read a list of field names, such as ``Vary``'s, in lower case and without empty members."""
    parts = (part.strip(_OWS).lower() for line in lines for part in line.split(b","))
    return [part for part in parts if part]


def seconds(argument: bytes | None) -> float | None:
    """Read a number of seconds, fractions allowed. None: there is none, or it is no such number.

    A sign, an exponent or a unit is not part of RFC 9111 section 1.2.2's delta-seconds; the
    fraction is our extension of it.
    """
    if argument is None or not _SECONDS.fullmatch(argument):
        return None
    return min(float(argument), MAX_SECONDS)


def _argument(raw: bytes) -> bytes:
    raw = raw.strip(_OWS)
    if quoted := _QUOTED.fullmatch(raw):
        return _ESCAPED.sub(rb"\1", quoted[1])
    return raw if TOKEN.fullmatch(raw) else b""
