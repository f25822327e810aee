"""``Vary``: which request fields an answer depends on, and whether two requests agree on them.

``Accept-Encoding`` never counts: bodies are stored decoded and served as identity. What a request
says in a field that carries a credential is kept and compared as a SHA-256 digest, so that no
entry holds a secret.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, TypeAlias

from askonce.policy.fields import TOKEN, Fields, gather, names

if TYPE_CHECKING:
    from askonce.entry import Entry, Headers

Varied: TypeAlias = tuple[tuple[bytes, tuple[bytes, ...]], ...]
"""The fields that ``Vary`` names, each with all values of the request (empty: absent)."""

_CREDENTIALS: Final = frozenset(
    {
        b"api-key",
        b"authorization",
        b"cookie",
        b"proxy-authorization",
        b"x-api-key",
        b"x-goog-api-key",
    }
)


def varies_on(answer: Fields) -> list[bytes] | None:
    """Name the request fields that an answer depends on.

    Args:
        answer: The answer's fields.

    Returns:
        Lower-case names, each once. None if no later request can match: ``*``
        (RFC 9111 section 4.1), or a name that is no field name.
    """
    if b"vary" not in answer:
        return []
    named = names(answer[b"vary"])
    if not all(TOKEN.fullmatch(name) and name != b"*" for name in named):
        return None
    return [name for name in dict.fromkeys(named) if name != b"accept-encoding"]


def varied(named: list[bytes], request: Headers) -> Varied:
    """Remember what a request says in the fields that its answer depends on."""
    if not named:
        return ()
    said = gather(request, frozenset(named))
    return tuple((name, _values(name, said)) for name in named)


def vary_matches(entry: Entry, headers: Headers) -> bool:
    """Tell whether a request says what the entry's request said, where the answer depends on it.

    Args:
        entry: The stored answer.
        headers: The fields of the request that asks now.

    Returns:
        True only if every such field has the same values, byte for byte and in the same order
        (stricter than RFC 9111 section 4.1, which lets a cache normalise them).
    """
    if not entry.vary:
        return True
    said = gather(headers, frozenset([name for name, _ in entry.vary]))
    return all(_values(name, said) == values for name, values in entry.vary)


def _values(name: bytes, said: Fields) -> tuple[bytes, ...]:
    values = said.get(name, ())
    if name in _CREDENTIALS:
        return tuple(hashlib.sha256(value).digest() for value in values)
    return tuple(values)
