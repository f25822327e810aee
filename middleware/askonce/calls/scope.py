"""Who asks and what for, as far as header fields tell. Knows no server, only fields.

A hit is served before the app can check anything. So whatever an app may know its callers by is
part of the key, and so is every field by which a provider changes its answer.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from askonce.entry import Headers

Field: TypeAlias = tuple[bytes, bytes]

CREDENTIALS: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        b"authorization": "RFC 9110 section 11.6.2; the key of OpenAI and all that speak like it",
        b"proxy-authorization": "RFC 9110 section 11.7.2; gateways in front of the app check it",
        b"x-api-key": "Anthropic's key: https://docs.anthropic.com/en/api/overview",
        b"api-key": "Azure's key: https://learn.microsoft.com/azure/ai-services/openai/reference",
        b"x-goog-api-key": "Gemini's key: https://ai.google.dev/gemini-api/docs/api-key",
        b"cookie": "RFC 6265 section 4.2; the session of a browser",
    }
)
"""Fields that say who asks, each with the reason; dropped from the key only if callers share."""

KEYED_HEADERS: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        b"openai-organization": "whose models and limits apply: OpenAI's API reference",
        b"openai-project": "whose models and limits apply: OpenAI's API reference",
        b"openai-beta": "switches on another form of the API",
        b"anthropic-version": "the form of the API: https://docs.anthropic.com/en/api/versioning",
        b"anthropic-beta": "switches features on: https://docs.anthropic.com/en/api/beta-headers",
        b"anthropic-workspace-id": "whose models and limits apply",
        b"anthropic-user-profile-id": "for whom the answer is made",
    }
)
"""Fields by which a provider changes its answer, each with the reason; always in the key."""

BODY_DIGESTS: Final = frozenset({b"content-digest", b"repr-digest", b"digest", b"content-md5"})
"""Fields that are wrong once a body was cut (RFC 9530; RFC 3230; RFC 1864)."""

_CONTROL: Final = b"cache-control"
_NAMES: Final = 1024
_NAME_LENGTH: Final = 64
_SINGLE: Final = frozenset({b"host", b"content-type", b"content-encoding"})
_JSON: Final = re.compile(
    rb"[ \t]*application/json[ \t]*(?:;[ \t]*charset=(?:utf-8|\"utf-8\")[ \t]*)?", re.IGNORECASE
)


class Sifted(msgspec.Struct, frozen=True):
    """A request's header fields by what they mean for a cache.

    Fields are sorted by name; those of one name keep their order (RFC 9110 section 5.3).

    Args:
        caller: The credentials fields.
        keyed: The fields that change the answer. A Host, Content-Type or Content-Encoding that
            is there more than once, or empty, is among them, too: apps differ in how they read
            those.
        doubled: True if a credentials field is there twice, so that nobody can say which counts.
            Cookie may be (RFC 9113 section 8.2.3).
        control: The Cache-Control fields' values, in order.
        host: The Host field, or nothing.
        content_type: ``application/json`` for any spelling of it (RFC 9110 section 8.3.1; UTF-8
            is its only charset), nothing if absent, else the field as it is. Some frameworks
            read JSON only where the field says JSON, so absent and JSON differ.
        content_encoding: The Content-Encoding field, or nothing.
    """

    caller: Headers
    keyed: Headers
    doubled: bool
    control: tuple[bytes, ...]
    host: bytes
    content_type: bytes
    content_encoding: bytes


def field_names(names: Iterable[str]) -> frozenset[bytes]:
    """Write an operator's header names (``keyed_headers``) as they stand in a sifted field."""
    return frozenset(name.strip().lower().encode() for name in names)


class Wanted(dict[bytes, bool]):
    """Knows by its name whether ``sift`` looks at a field; remembers the names that it was asked.

    A name that is not in lower case, which ASGI rules out, is let through: ``sift`` will know it,
    and no credential is lost.

    Args:
        extra: The operator's ``keyed_headers``, in any case.
    """

    def __init__(self, extra: Iterable[str] = ()) -> None:
        names = _SINGLE | CREDENTIALS.keys() | KEYED_HEADERS.keys() | {_CONTROL}
        super().__init__(dict.fromkeys(names | field_names(extra), True))

    def __missing__(self, name: bytes) -> bool:
        """Remember a name that is not looked at, but not any number of them."""
        if not name.islower():
            return True
        if len(name) <= _NAME_LENGTH and len(self) < _NAMES:
            self[name] = False
        return False


def pick(headers: Iterable[Iterable[bytes]], wanted: Wanted) -> Headers:
    """Take out of a scope's header fields those that ``sift`` may want, as a hashable value.

    Args:
        headers: Pairs of name and value, as ASGI has them.
        wanted: Knows which.
    """
    return tuple([(name, value) for name, value in headers if wanted[name]])


def sift(headers: Headers, extra: frozenset[bytes] = frozenset()) -> Sifted:
    """Sort header fields by what they mean for a cache.

    Args:
        headers: A request's fields, whole or as ``pick`` chose them; names in any case.
        extra: The operator's ``keyed_headers``, as ``field_names`` writes them.
    """
    fields = sorted([(name.lower(), value) for name, value in headers], key=_name)
    caller = _chosen(fields, lambda name: name in CREDENTIALS)
    return Sifted(
        caller=caller,
        keyed=_chosen(fields, lambda name: name in KEYED_HEADERS or name in extra) + _odd(fields),
        doubled=_doubled([name for name, _ in caller if name != b"cookie"]),
        control=_values(fields, _CONTROL),
        host=_first(fields, b"host"),
        content_type=_media_type(_first(fields, b"content-type")),
        content_encoding=_first(fields, b"content-encoding"),
    )


def _chosen(fields: list[Field], is_chosen: Callable[[bytes], bool]) -> Headers:
    return tuple([field for field in fields if is_chosen(field[0])])


def _values(fields: list[Field], name: bytes) -> tuple[bytes, ...]:
    return tuple([field[1] for field in fields if field[0] == name])


def _first(fields: list[Field], name: bytes) -> bytes:
    return next(iter(_values(fields, name)), b"")


def _odd(fields: list[Field]) -> Headers:
    """The fields that should be there once and with a value, and are not."""
    return _chosen(fields, lambda name: name in _SINGLE and _is_odd(_values(fields, name)))


def _is_odd(values: tuple[bytes, ...]) -> bool:
    return len(values) != 1 or not values[0]


def _doubled(names: list[bytes]) -> bool:
    return len(names) != len(set(names))


def _media_type(value: bytes) -> bytes:
    return b"application/json" if _JSON.fullmatch(value) else value


def _name(field: Field) -> bytes:
    return field[0]
