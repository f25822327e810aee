"""Who asks, as far as only the ASGI scope knows: an authenticated user, or the operator's own rule.

Credentials in header fields are the keys' business (``calls.scope``). This is for the rest: what an
authentication middleware put into ``scope["user"]``, and the function that ``caller_id`` names.
"""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Callable
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from starlette.types import Scope

from askonce.errors import SettingsError

CallerId = Callable[[Scope], object]
"""The operator's rule: an ASGI scope in, a str out; anything else is a failure."""


class UnknownCaller(msgspec.Struct, frozen=True):
    """Somebody asks, and nobody can say who: such a request is not cached.

    Args:
        reason: A token for ``detail=`` in Cache-Status.
    """

    reason: str


NOBODY: Final[tuple[str, ...]] = ()
_UNKNOWN_USER: Final = UnknownCaller("unknown-user")
_NAMES: Final = frozenset({str, int, UUID})
"""Types whose text tells their values apart."""

_log = logging.getLogger("askonce")
_NOT_FOUND = (
    "ASKONCE_CALLER_ID: {path!r} cannot be used ({why}); "
    "allowed: module:function, importable where the app runs"
)


class CallerReader:
    """Reads the caller from a scope.

    Args:
        caller_id: Import path ``module:function`` of the operator's rule (scope in, str out), or
            None.
        shared: ``share_between_callers``: nobody is told apart.

    Raises:
        SettingsError: ``caller_id`` names nothing that can be called.
    """

    def __init__(self, caller_id: str | None, *, shared: bool) -> None:
        self._caller_id = _imported(caller_id) if caller_id is not None else None
        self._shared = shared
        self._complained = False

    def read(self, scope: Scope) -> tuple[str, ...] | UnknownCaller:
        """Return what tells this caller from others, or why that cannot be said."""
        if self._shared:
            return NOBODY
        user = scope.get("user")
        if user is None and self._caller_id is None:
            return NOBODY
        return self._read(user, scope)

    def _read(self, user: Any, scope: Scope) -> tuple[str, ...] | UnknownCaller:
        name = _user_name(user)
        if isinstance(name, UnknownCaller) or self._caller_id is None:
            return name
        own = self._own(self._caller_id, scope)
        return own if isinstance(own, UnknownCaller) else (*name, *own)

    def _own(self, caller_id: CallerId, scope: Scope) -> tuple[str, ...] | UnknownCaller:
        try:
            own: object = caller_id(scope)
        except Exception as error:  # noqa: BLE001 - the operator's code: whatever it raises
            return self._failed(repr(type(error)))
        if not isinstance(own, str):
            return self._failed(f"it returned {type(own).__name__}, not str")
        return ("caller_id", own)

    def _failed(self, why: str) -> UnknownCaller:
        if not self._complained:
            self._complained = True
            _log.warning("ASKONCE_CALLER_ID: the function failed (%s): not cached", why)
        return UnknownCaller("caller-id-failed")


def _user_name(user: Any) -> tuple[str, ...] | UnknownCaller:
    """Starlette's user interface: whatever it says of the user tells users apart."""
    try:
        if user is None or not getattr(user, "is_authenticated", True):
            return NOBODY
        said = [(attribute, _said(user, attribute)) for attribute in ("identity", "display_name")]
    except Exception:  # noqa: BLE001 - the app's own class: whatever it raises
        return _UNKNOWN_USER
    named = [(attribute, value) for attribute, value in said if value not in (None, "")]
    if not named or any(type(value) not in _NAMES for _, value in named):
        return _UNKNOWN_USER
    return tuple(
        part for attribute, value in named for part in (attribute, type(value).__name__, str(value))
    )


def _said(user: Any, attribute: str) -> object:
    try:
        return getattr(user, attribute, None)
    except NotImplementedError:  # Starlette's own, until a subclass defines it
        return None


def _imported(path: str) -> CallerId:
    try:
        found: object = pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(_NOT_FOUND.format(path=path, why=error)) from error
    if not callable(found):
        raise SettingsError(_NOT_FOUND.format(path=path, why="it is not callable"))
    return cast("CallerId", found)
