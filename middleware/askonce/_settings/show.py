"""Values as text: as a variable has them, and as an error or a table may show them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast, get_args

from pydantic import ByteSize, SecretStr

from askonce._settings.kinds import Guarded, Says

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

MASK = "********"
_LONGEST = 60
_USERINFO = re.compile(r"://[^/?#\s]*@")
_UNITS = (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))


def is_secret(field: FieldInfo) -> bool:
    """Say whether a field's values must never be shown."""
    return SecretStr in _parts(field.annotation)


def is_guarded(field: FieldInfo) -> bool:
    """Say whether what was given for a field may hold a secret, so that no error shows it."""
    parts = (*field.metadata, *_parts(field.annotation))
    return is_secret(field) or any(isinstance(part, Guarded) for part in parts)


def hides(field: FieldInfo, value: object) -> bool:
    """Say whether a validated value is an object that may hold a secret."""
    return bool(value) and isinstance(value, dict) and is_guarded(field)


def words(field: FieldInfo) -> str:
    """Return what a field takes, in words and Markdown."""
    parts = (*field.metadata, *_parts(field.annotation))
    return next(part.words for part in parts if isinstance(part, Says))


def as_text(value: Any) -> str:
    """Write a validated value as its variable would have it; empty where there is none.

    Secrets come out masked.
    """
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, ByteSize):
        return _bytes(value)
    if isinstance(value, float):
        return f"{value:.15g}"
    return _listed(value) if isinstance(value, tuple | Mapping) else _masked(str(value))


def as_json(value: Any) -> Any:
    """Return a validated value as JSON has it. Secrets come out masked."""
    if isinstance(value, SecretStr):
        return MASK
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _masked(value)
    return _plain(value) if isinstance(value, tuple | Mapping) else str(value)


def given(raw: Any, *, secret: bool) -> str:
    """Show what was given in an error: masked if secret, in one line, not endless."""
    if secret:
        return MASK
    plain = isinstance(raw, str) and raw and raw.isprintable() and raw.strip() == raw
    text = _masked(str(raw) if plain else repr(raw))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _masked(text: str) -> str:
    """Hide the user and the password of URLs."""
    return _USERINFO.sub(f"://{MASK}@", text)


def _parts(annotation: Any) -> tuple[Any, ...]:
    """Return all that an annotation is made of, what is said of a whole before its parts."""
    said: tuple[Any, ...] = getattr(annotation, "__metadata__", ())
    nested = (annotation.__origin__,) if said else get_args(annotation)
    return (annotation, *said, *(part for arg in nested for part in _parts(arg)))


def _bytes(value: int) -> str:
    return next(
        (f"{value // size}{unit}" for unit, size in _UNITS if value % size == 0),
        str(int(value)),
    )


def _listed(value: Any) -> str:
    """Write words between commas where that says the same, else JSON."""
    items = cast("tuple[Any, ...]", value)
    if items and isinstance(value, tuple) and all(isinstance(item, str | int) for item in items):
        return ",".join(map(str, items))
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return {name: as_json(member) for name, member in members.items()}
    return [as_json(item) for item in value]
