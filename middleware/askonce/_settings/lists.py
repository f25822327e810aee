"""The kinds of lists and mappings that settings take.

Lists of plain words may be written ``a, b``; every list and mapping may be written as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, cast, get_args

import jiter
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from askonce._settings import values
from askonce._settings.kinds import (
    TEXT,
    Guarded,
    Port,
    RefusedError,
    Says,
    Text,
    enum,
    matching,
    no_bool,
    text_or,
)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_THE_QUESTION = frozenset({"messages", "prompt", "input", "model", "n"})


def _json(value: Any) -> Any:
    """Read text as JSON; a name given twice is an error, as everywhere in askonce."""
    if not isinstance(value, str):
        return value
    try:
        return jiter.from_json(value.encode(), allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise RefusedError(f"not JSON, {error}") from None


def _listed(value: Any) -> Any:
    """Read text as a JSON list, or as words between commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json(value)
    return [word.strip() for word in value.split(",") if word.strip()]


def _once(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))


def _some(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        raise RefusedError("an empty list would cache nothing")
    return items


def _canonical(name: Any) -> Any:
    """Drop the ``a`` of a call type's asynchronous twin: they are the same call type."""
    if isinstance(name, str) and name.startswith("a") and name[1:] in get_args(values.CallTypeName):
        return name[1:]
    return name


def _is_path(text: str) -> bool:
    return text.startswith("/") and not set(text) & {"?", "#"}


def _node(value: Any) -> Any:
    """Read ``host:port``, or an object with ``host`` and ``port``, as a pair."""
    if isinstance(value, str):
        host, _, port = value.rpartition(":")
        return host, port
    if isinstance(value, Mapping):
        node = cast("Mapping[str, Any]", value)
        return (node["host"], node["port"]) if set(node) == {"host", "port"} else None
    return value


def _not_the_question(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse to leave the question itself out of the key: every question would be the same."""
    lost = _THE_QUESTION.intersection(names)
    if lost:
        raise RefusedError(f"without {min(lost)!r} different questions would get the same answer")
    return names


def _groups_apart(groups: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    seen: set[str] = set()
    for group in groups:
        twice = seen.intersection(group)
        if twice:
            raise RefusedError(f"{min(twice)!r} is in two groups")
        seen.update(group)
    return groups


def _list_of(items: dict[str, Any]) -> WithJsonSchema:
    return text_or({"type": "array", "items": items})


_CALLS = values.here("supported_call_types")
_CALL_NAMES = enum((*_CALLS, *(f"a{name}" for name in _CALLS)))

_CallType = Annotated[values.CallTypeName, BeforeValidator(_canonical)]
_Token = Annotated[str, matching(_TOKEN.fullmatch, "a token")]  # RFC 9110, section 5.6.2
_Route = Annotated[str, matching(_is_path, "a path: it begins with / and has no ? or #")]
_Status = Annotated[int, BeforeValidator(no_bool), Field(ge=100, le=599)]
_Node = Annotated[tuple[Text, Port], BeforeValidator(_node)]

CallTypes = Annotated[
    tuple[_CallType, ...],
    BeforeValidator(_listed),
    AfterValidator(_once),
    AfterValidator(_some),
    Says(f"a list of {values.listed([f'`{name}`' for name in _CALLS], 'and')}"),
    _list_of(_CALL_NAMES),
]
Routes = Annotated[
    dict[_Route, _CallType],
    BeforeValidator(_json),
    Says(f"a JSON object, path to {values.listed([f'`{name}`' for name in _CALLS], 'or')}"),
    text_or(
        {
            "type": "object",
            "propertyNames": {"pattern": "^/[^?#]*$"},
            "additionalProperties": _CALL_NAMES,
        }
    ),
]
Groups = Annotated[
    tuple[tuple[Text, ...], ...],
    BeforeValidator(_json),
    AfterValidator(_groups_apart),
    Says("a JSON list of lists of model names"),
    _list_of({"type": "array", "items": TEXT}),
]
HeaderNames = Annotated[
    tuple[Annotated[_Token, AfterValidator(str.lower)], ...],
    BeforeValidator(_listed),
    AfterValidator(_once),
    Says("a list of header names"),
    _list_of(TEXT),
]
CookieNames = Annotated[
    tuple[_Token, ...],
    BeforeValidator(_listed),
    AfterValidator(_once),
    Says("a list of cookie names"),
    _list_of(TEXT),
]
Params = Annotated[
    tuple[Text, ...],
    BeforeValidator(_listed),
    AfterValidator(_once),
    AfterValidator(_not_the_question),
    Says("a list of member names"),
    _list_of(TEXT),
]
Statuses = Annotated[
    tuple[_Status, ...],
    BeforeValidator(_listed),
    AfterValidator(_once),
    AfterValidator(_some),
    Says("a list of status codes, 100 to 599"),
    _list_of({"type": "integer", "minimum": 100, "maximum": 599}),
]
Nodes = Annotated[
    tuple[_Node, ...],
    Guarded(),
    BeforeValidator(_listed),
    Says('a list of `host:port`, or JSON: `[["host", 6379]]` or `[{"host": "…", "port": 6379}]`'),
    _list_of({"type": ["string", "array", "object"]}),
]
JsonObject = Annotated[
    dict[str, Any],
    Guarded(),
    BeforeValidator(_json),
    Says("a JSON object"),
    text_or({"type": "object"}),
]
