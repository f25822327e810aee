"""Hearing directives one by one, from wherever they come: what is said twice counts as stricter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from askonce.policy.fields import members, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Limit(NamedTuple):
    """A directive that has a number of seconds.

    Args:
        field: The field of ``Directives`` that it fills.
        stricter: Which of two numbers wins.
        bare: What it counts as without an argument.
        unreadable: What it counts as with an argument that is no number.
    """

    field: str
    stricter: Callable[[float, float], float]
    bare: float = 0.0
    unreadable: float = 0.0


_AGE: Final = Limit("max_age", min)
LIMITS: Final = {
    "max-age": _AGE,
    "s-maxage": _AGE,
    "s-max-age": _AGE,
    "max-stale": Limit("max_stale", min, bare=math.inf),
    "min-fresh": Limit("min_fresh", max, bare=math.inf, unreadable=math.inf),
    "stale-if-error": Limit("stale_if_error", min),
    "ttl": Limit("ttl", min),
}
MAX_NAMESPACE: Final = 256
"""Characters that a client's namespace may have: keys are made of it, and remembered."""
_FLAGS: Final = {
    "no-cache": "no_cache",
    "no-store": "no_store",
    "only-if-cached": "only_if_cached",
}


class Said:
    """What was heard so far; ``fields`` become the fields of ``Directives``."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def flag(self, field: str) -> None:
        """Hear a flag."""
        self.fields[field] = True

    def limit(self, limit: Limit, number: float) -> None:
        """Hear a number of seconds. An age limit of 0 acts as ``no-cache``."""
        said = self.fields.get(limit.field, number)
        self.fields[limit.field] = limit.stricter(said, number)
        if limit.field == "max_age" and number == 0:
            self.flag("no_cache")

    def namespace(self, name: str | None) -> None:
        """Hear a namespace; None if it cannot be told, which conflicts with everything."""
        if name is not None and len(name) > MAX_NAMESPACE:
            name = None
        if name is None or self.fields.setdefault("namespace", name) != name:
            self.fields.update(namespace=None, conflict=True)

    def header(self, lines: Iterable[bytes]) -> None:
        """Hear the lines of a request's Cache-Control header."""
        for name, argument in members(lines):
            self._member(name, argument)

    def _member(self, name: str, argument: bytes | None) -> None:
        if name in LIMITS:
            self.limit(LIMITS[name], _number(LIMITS[name], argument))
        elif name in _FLAGS:
            self.flag(_FLAGS[name])
        elif name == "namespace":
            self.namespace(_text(argument))
        elif name == "use-cache" and argument is None:
            self.flag("use_cache")


def _number(limit: Limit, argument: bytes | None) -> float:
    if argument is None:
        return limit.bare
    number = seconds(argument)
    return limit.unreadable if number is None else number


def _text(argument: bytes | None) -> str | None:
    try:
        return (argument or b"").decode() or None
    except UnicodeDecodeError:
        return None
