"""What becomes of a backend's failures while a request is served: they are a miss.

They are counted, and logged once in a while: a backend that is down fails with every request.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from askonce.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_SECONDS: Final = 60.0
"""One failure is logged in so many seconds; the others are only counted."""

Reason: TypeAlias = Literal["error", "timeout"]

_log = logging.getLogger("askonce")


class Failed(msgspec.Struct, frozen=True):
    """The backend failed; take it as a miss.

    Args:
        reason: ``timeout`` if it did not answer in time.
    """

    reason: Reason


_ERROR: Final = Failed("error")
_TIMEOUT: Final = Failed("timeout")


class Failures:
    """Counts and logs the failures of one backend.

    Args:
        backend: What messages call it.
        clock: Returns a time in seconds.
    """

    def __init__(self, backend: str, clock: Callable[[], float]) -> None:
        self.count = 0
        self._backend = backend
        self._clock = clock
        self._logged = -math.inf

    def note(self, doing: str, error: Exception) -> Failed:
        """Take note of a failure.

        Args:
            doing: What the backend was asked to do: ``read``, ``write``.
            error: What it raised.
        """
        self.count += 1
        now = self._clock()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            _log.warning("%s: %s failed, served uncached: %s", self._backend, doing, _words(error))
        return _TIMEOUT if isinstance(error, TimeoutError) else _ERROR


def _words(error: Exception) -> str:
    """A driver's own text may hold a URL with a password in it: only ours is shown."""
    if isinstance(error, BackendError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer within backend_timeout"
    return type(error).__name__
