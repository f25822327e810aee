"""The closed sets of words that settings take, and which of them this version lacks.

Names are reserved before their code exists, so that a configuration never changes its meaning.
To choose a reserved value is an error that says so, never a silent fallback. A version that
brings one of them deletes its rows from :data:`RESERVED`: validation, documents and JSON schema
follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, cast, get_args

CacheType: TypeAlias = Literal[
    "local",
    "disk",
    "redis",
    "s3",
    "dual",
    "redis-semantic",
    "qdrant-semantic",
    "local-semantic",
]
Mode: TypeAlias = Literal["default_on", "default_off"]
CallTypeName: TypeAlias = Literal[
    "completion",
    "text_completion",
    "embedding",
    "transcription",
    "rerank",
    "responses",
    "anthropic_messages",
]
Respect: TypeAlias = Literal["auto", "always", "never"]
Coalesce: TypeAlias = Literal["off", "process", "shared"]
Culling: TypeAlias = Literal["least-recently-stored", "least-recently-used"]
CertReqs: TypeAlias = Literal["none", "optional", "required"]
Quantization: TypeAlias = Literal["binary", "scalar", "product"]

ANYTHING = "*"
"""In a row of :data:`RESERVED`: every value but an unset one."""


class AbsentError(ValueError):
    """This version lacks what the value asks for. Pydantic catches it."""


class Reserved(NamedTuple):
    """A value that this version knows and cannot honour.

    Args:
        field: The field that takes it.
        value: The value, or :data:`ANYTHING`.
        why: What the operator is told.
    """

    field: str
    value: str | bool
    why: str


RESERVED = (
    Reserved("type", "redis-semantic", "answering by meaning comes in a later one"),
    Reserved("type", "qdrant-semantic", "answering by meaning comes in a later one"),
    Reserved("type", "local-semantic", "answering by meaning comes in a later one"),
    Reserved("supported_call_types", "embedding", "embeddings come in a later one"),
    Reserved("supported_call_types", "transcription", "transcriptions come in a later one"),
    Reserved("supported_call_types", "rerank", "reranking comes in a later one"),
    Reserved("supported_call_types", "responses", "OpenAI's Responses come in a later one"),
    Reserved(
        "supported_call_types", "anthropic_messages", "Anthropic's Messages come in a later one"
    ),
    Reserved("coalesce", "process", "joining a running request comes in a later one"),
    Reserved("coalesce", "shared", "joining a running request comes in a later one"),
    Reserved(
        "admin_token", ANYTHING, "endpoints for operators come in a later one; leave it unset"
    ),
    Reserved("log_content", value=True, why="logging of contents comes in a later one"),
)

_SAME_WORDS = {"routes": "supported_call_types"}
"""Fields whose values are another field's words."""

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "type": get_args(CacheType),
    "supported_call_types": get_args(CallTypeName),
    "coalesce": get_args(Coalesce),
}


def here(field: str) -> tuple[Any, ...]:
    """Return the words that ``field`` takes in this version, in their documented order."""
    return tuple(word for word in _CHOICES[field] if _row(field, word) is None)


def refusal(field: str, value: object) -> str | None:
    """Say why this version cannot honour ``value``.

    Args:
        field: A field's name.
        value: Its validated value; of a list or a mapping, every member is looked at.

    Returns:
        A sentence for the operator, or None if the value is fine.
    """
    field = _SAME_WORDS.get(field, field)
    rows = [row for member in _members(value) if (row := _row(field, member))]
    return _sentence(rows[0]) if rows else None


def reserved_values(field: str) -> tuple[str, ...]:
    """Return the words of ``field`` that this version lacks, for the documents."""
    field = _SAME_WORDS.get(field, field)
    return tuple(as_word(row.value) for row in RESERVED if row.field == field)


def as_word(value: str | bool) -> str:
    """Return a row's value as one writes it: ``true`` for True."""
    return str(value).lower()


def listed(words: Iterable[str], last: str) -> str:
    """Join words for a sentence: ``a, b or c``."""
    *rest, end = words
    return f"{', '.join(rest)} {last} {end}" if rest else end


def _row(field: str, value: object) -> Reserved | None:
    return next((row for row in RESERVED if row.field == field and _matches(row, value)), None)


def _matches(row: Reserved, value: object) -> bool:
    return value is not None if row.value == ANYTHING else row.value == value


def _members(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return cast("Mapping[str, object]", value).values()
    return cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)


def _sentence(row: Reserved) -> str:
    offer = listed(here(row.field), "and") if row.field in _CHOICES else "no such thing"
    return f"this version has {offer}; {row.why}"
