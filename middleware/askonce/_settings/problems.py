"""What is wrong with the settings, in words: one line per field, for the one who set it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askonce._settings import show
from askonce._settings.kinds import RefusedError
from askonce._settings.values import AbsentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError

    from askonce._settings.layers import Found, Value


def lines(error: ValidationError, found: Found) -> list[str]:
    """Say what is wrong, a line per field.

    Args:
        error: What validation found.
        found: The raw values and their origins.

    Returns:
        Lines such as ``ASKONCE_TTL=-5: allowed: seconds, 0 or more, fractions allowed``. Values
        that come from a file say which, secrets are masked.
    """
    first: dict[str, Any] = {}
    for detail in error.errors(include_url=False):
        first.setdefault(str(detail["loc"][0]), detail)
    return [_line(field, detail, found) for field, detail in first.items()]


def message(problems: Iterable[str]) -> str:
    """Join problems to the message that stops start-up."""
    listed = list(problems)
    title = "a setting is wrong" if len(listed) == 1 else f"{len(listed)} settings are wrong"
    return "\n  ".join([f"{title}:", *listed])


def _line(field: str, detail: Any, found: Found) -> str:
    info = found.fields[field]
    shown = _given(found.values[field], secret=show.is_guarded(info))
    reason = detail.get("ctx", {}).get("error")
    if isinstance(reason, AbsentError):
        return f"{shown}: {reason}"
    why = f"{reason}; " if isinstance(reason, RefusedError) else ""
    return f"{shown}: {why}allowed: {show.words(info).replace('`', '')}"


def _given(value: Value, *, secret: bool) -> str:
    name, path = value.origin.name, value.origin.path
    place = f" (in {path})" if path else ""
    return f"{name}={show.given(value.raw, secret=secret)}{place}"
