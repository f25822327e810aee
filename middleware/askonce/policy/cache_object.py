"""The ``cache`` object of a JSON body. It is our own format, so that a wrong member is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jiter
import msgspec

from askonce.policy.fields import MAX_SECONDS
from askonce.policy.said import LIMITS, MAX_NAMESPACE, Said

if TYPE_CHECKING:
    from collections.abc import Mapping

_FLAGS: Final = {"no-cache": "no_cache", "no-store": "no_store", "use-cache": "use_cache"}
_LIMITS: Final = ("ttl", "s-maxage", "s-max-age")
_ALLOWED: Final = ", ".join((*_FLAGS, *_LIMITS, "namespace"))
_SHOWN: Final = 40
_KINDS: Final[dict[type[object], str]] = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "a number",
    jiter.LosslessFloat: "a number",
    list: "an array",
    str: "a string",
    type(None): "null",
}


class DirectiveError(msgspec.Struct, frozen=True):
    """A member of the ``cache`` object is wrong.

    Args:
        member: The member's name, as the client wrote it.
        message: What is wrong and what is allowed, for the client to read.
    """

    member: str
    message: str


def hear(said: Said, control: Mapping[str, Any]) -> DirectiveError | None:
    """Hear every member of the ``cache`` object.

    Args:
        said: Takes what is heard.
        control: The object as jiter parsed it: numbers are int or ``jiter.LosslessFloat``. Python
            callers may give float.

    Returns:
        The first member that is wrong, None if all are right.
    """
    for member, value in control.items():
        if message := _hear_member(said, member, value):
            return DirectiveError(member, message)
    return None


def _hear_member(said: Said, member: str, value: Any) -> str | None:
    """Hear one member. A text says what is wrong with it."""
    if member in _FLAGS:
        return _hear_flag(said, member, value)
    if member in _LIMITS:
        return _hear_limit(said, member, value)
    if member == "namespace":
        return _hear_namespace(said, value)
    return f"cache.{member[:_SHOWN]} is not known; allowed are {_ALLOWED}"


def _hear_flag(said: Said, member: str, value: Any) -> str | None:
    if not isinstance(value, bool):
        return f"cache.{member} must be true or false, not {_kind(value)}"
    if value:
        said.flag(_FLAGS[member])
    return None


def _hear_limit(said: Said, member: str, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, jiter.LosslessFloat)):
        return f"cache.{member} must be a number of seconds, 0 or more, not {_kind(value)}"
    number = value if isinstance(value, int) else float(value)
    if not number >= 0:  # NaN too
        return f"cache.{member} must be a number of seconds, 0 or more"
    # Bounded before it becomes a float: JSON's integers have no end.
    said.limit(LIMITS[member], float(min(number, MAX_SECONDS)))
    return None


def _hear_namespace(said: Said, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"cache.namespace must be a string, not {_kind(value)}"
    if not value:
        return "cache.namespace must not be empty; leave it out for the default"
    if len(value) > MAX_NAMESPACE:
        return f"cache.namespace must have {MAX_NAMESPACE} characters at most"
    said.namespace(value)
    return None


def _kind(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)
