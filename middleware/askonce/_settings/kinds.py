"""The kinds of values that settings take: how text becomes them, and what they are in words.

Variables are text; a TOML file and Python have types of their own: every kind takes both. Each
kind carries its own words (:class:`Says`) and JSON schema, so that an error, the reference and
the schema say the same thing. Lists and mappings are in :mod:`askonce._settings.lists`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, SecretStr, WithJsonSchema

from askonce._settings import values

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Says:
    """What a kind takes, unit included.

    Args:
        words: For an operator; Markdown, literals in backticks.
    """

    words: str


class Guarded:
    """Marks a kind whose values may hold a credential: an error never shows what was given."""


class RefusedError(ValueError):
    """A kind does not take this value; the message says why. Pydantic catches it."""


def no_bool(value: Any) -> Any:
    """Refuse True and False where a number is meant; Python counts them as 1 and 0."""
    if isinstance(value, bool):
        raise RefusedError("not a number")
    return value


def matching(test: Callable[[str], object], what: str) -> AfterValidator:
    """Make a validator of texts that refuses those which fail ``test`` as being no ``what``."""

    def check(text: str) -> str:
        if not test(text):
            raise RefusedError(f"{text!r} is not {what}")
        return text

    return AfterValidator(check)


def choice(words: tuple[str, ...]) -> Says:
    """Describe a closed set of words."""
    return Says(values.listed([f"`{word}`" for word in words], "or"))


def enum(words: tuple[str, ...]) -> dict[str, Any]:
    """Make the JSON schema of a closed set of words."""
    return {"type": "string", "enum": list(words)}


def text_or(schema: dict[str, Any]) -> WithJsonSchema:
    """Describe a kind that has types of its own, and takes them written as text too."""
    return WithJsonSchema({"anyOf": [schema, {"type": "string"}]})


def _not_blank(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise RefusedError("empty")
    return value


def _is_import_path(text: str) -> bool:
    module, colon, name = text.partition(":")
    parts = [*module.split("."), *name.split(".")]
    return bool(colon) and all(part.isidentifier() for part in parts)


def _true_or_false(value: Any) -> Any:
    """Read the two words as what they mean, before a path of that name is thought of."""
    words = {"true": True, "false": False}
    return words.get(value.strip().lower(), value) if isinstance(value, str) else value


_TYPES = values.here("type")
_COALESCE = values.here("coalesce")
TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
"""JSON schema of a text."""

Flag = Annotated[bool, Says("`true` or `false`"), WithJsonSchema({"type": "boolean"})]
Seconds = Annotated[
    float,
    BeforeValidator(no_bool),
    Field(ge=0, allow_inf_nan=False),
    Says("seconds, 0 or more, fractions allowed"),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
Bytes = Annotated[
    ByteSize,
    BeforeValidator(no_bool),
    Field(ge=1),
    Says("bytes, 1 or more, also as `8MiB`"),
    text_or({"type": "integer", "minimum": 1}),
]
Count = Annotated[
    int,
    BeforeValidator(no_bool),
    Field(ge=1),
    Says("a whole number, 1 or more"),
    WithJsonSchema({"type": "integer", "minimum": 1}),
]
Natural = Annotated[
    int,
    BeforeValidator(no_bool),
    Field(ge=0),
    Says("a whole number, 0 or more"),
    WithJsonSchema({"type": "integer", "minimum": 0}),
]
RedisProtocol = Annotated[
    int,
    BeforeValidator(no_bool),
    Field(ge=2, le=3),
    Says("2 or 3"),
    WithJsonSchema({"type": "integer", "minimum": 2, "maximum": 3}),
]
Port = Annotated[
    int,
    BeforeValidator(no_bool),
    Field(ge=1, le=65535),
    Says("a port, 1 to 65535"),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535}),
]
Ratio = Annotated[
    float,
    BeforeValidator(no_bool),
    Field(ge=0, le=1, allow_inf_nan=False),
    Says("a number from 0 to 1"),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
Text = Annotated[str, BeforeValidator(_not_blank), Says("a text, not empty"), WithJsonSchema(TEXT)]
Secret = Annotated[
    SecretStr, Says("a secret"), WithJsonSchema({"type": "string", "writeOnly": True})
]
Directory = Annotated[
    Path,
    BeforeValidator(_not_blank),
    AfterValidator(Path.expanduser),
    Says("a directory"),
    WithJsonSchema(TEXT),
]
ImportPath = Annotated[
    str,
    matching(_is_import_path, "of that form"),
    Says("an import path, `module:function`"),
    WithJsonSchema({"type": "string", "pattern": "^[^:]+:[^:]+$"}),
]
Verify = Annotated[
    bool | Text,
    BeforeValidator(_true_or_false),
    Says("`true`, `false` or the path of a CA bundle"),
    WithJsonSchema({"type": ["boolean", "string"]}),
]

BackendType = Annotated[values.CacheType, choice(_TYPES), WithJsonSchema(enum(_TYPES))]
CoalesceName = Annotated[values.Coalesce, choice(_COALESCE), WithJsonSchema(enum(_COALESCE))]
ModeName = Annotated[values.Mode, choice(get_args(values.Mode))]
RespectName = Annotated[values.Respect, choice(get_args(values.Respect))]
CullingName = Annotated[values.Culling, choice(get_args(values.Culling))]
CertReqsName = Annotated[values.CertReqs, choice(get_args(values.CertReqs))]
QuantizationName = Annotated[values.Quantization, choice(get_args(values.Quantization))]
