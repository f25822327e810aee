"""What the head of an answer says: how its body is to be read, and whether it may be stored.

Most answers of an app say the same here, whatever else their heads hold. So the fields that count
are picked first, and what was read from them can be remembered under them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from askonce.policy import freshness
from askonce.policy.fields import Fields, index, names
from askonce.policy.vary import varies_on

if TYPE_CHECKING:
    from askonce.entry import Headers, Shape
    from askonce.policy.options import Options

_WANTED: Final = frozenset(
    {
        b"age",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-type",
        b"date",
        b"expires",
        b"set-cookie",
        b"vary",
    }
)
# Behind a comma that is not a date's: some proxies fold several Set-Cookie fields into one.
_FOLDED_COOKIE: Final = re.compile(rb",[ \t]*([^\s;,=]+)[ \t]*=")


class Head(msgspec.Struct, frozen=True, eq=False):
    """What the head of an answer says.

    Args:
        shape: The shape of the body.
        media_type: The media type in lower case, without parameters; empty if there is no
            Content-Type, or more than one.
        coding: The Content-Encoding, or nothing.
        reason: Why the answer may never be stored, one of ``storing.Drop``'s reasons; None if
            nothing in the head forbids it.
        fields: The fields that were read, by name.
        said: Its Cache-Control.
        counts: True if its lifetime and its word on stale serving count.
        may_be_stale: False if it forbids being served after its lifetime.
        age: Seconds that had passed since it was made when it was received.
        varies: The request fields that it depends on.
        named: The fields that it forbids to store.
    """

    shape: Shape
    media_type: bytes
    coding: bytes
    reason: str | None
    fields: Fields
    said: freshness.Control
    counts: bool
    may_be_stale: bool
    age: float
    varies: list[bytes]
    named: frozenset[bytes]


def pick(headers: Headers) -> Headers:
    """Take out of a response's fields those that ``read`` looks at, names in lower case."""
    return tuple([(low, value) for name, value in headers if (low := name.lower()) in _WANTED])


def read(picked: Headers, options: Options) -> Head:
    """Read the head of an answer.

    Args:
        picked: Its fields, as ``pick`` chose them.
        options: The operator's word.
    """
    fields = index(picked)
    types = [value.partition(b";")[0].strip().lower() for value in fields.get(b"content-type", ())]
    shape = _shape(fields)
    respect = options.respect_response_cache_control
    said = freshness.control(fields)
    counts = freshness.counts(shape, respect)
    return Head(
        shape=shape,
        media_type=types[0] if len(types) == 1 else b"",
        coding=b",".join(fields.get(b"content-encoding", ())),
        reason=_personal(fields, said, shape, options),
        fields=fields,
        said=said,
        counts=counts,
        may_be_stale=not counts or freshness.may_be_stale(said),
        age=freshness.received_age(fields),
        varies=varies_on(fields) or [],
        named=_named(fields, said),
    )


def _shape(fields: Fields) -> Shape:
    types = fields.get(b"content-type", ())
    stream = any(value.lower().lstrip().startswith(b"text/event-stream") for value in types)
    return "stream" if stream else "plain"


def _personal(
    fields: Fields, said: freshness.Control, shape: Shape, options: Options
) -> str | None:
    ignored = options.ignored_set_cookies
    if any(_is_personal(cookie, ignored) for cookie in fields.get(b"set-cookie", ())):
        return "set-cookie"
    if varies_on(fields) is None:
        return "vary"
    directive = freshness.forbidden(said, shape, options.respect_response_cache_control)
    return directive and f"response-{directive}"


def _is_personal(cookie: bytes, ignored: frozenset[str]) -> bool:
    """Tell whether a Set-Cookie field sets a cookie that the operator did not dismiss."""
    pair = cookie.partition(b";")[0]
    name, equals, _ = pair.partition(b"=")
    found = [name.strip(), *_FOLDED_COOKIE.findall(cookie)]
    return not equals or any(name.decode("latin-1") not in ignored for name in found)


def _named(fields: Fields, said: freshness.Control) -> frozenset[bytes]:
    """Name the fields that Connection, ``no-cache="…"`` and ``private="…"`` forbid to store."""
    qualified = (*said.get("no-cache", ()), *said.get("private", ()))
    lines = (*fields.get(b"connection", ()), *(line for line in qualified if line))
    return frozenset(names(lines))
