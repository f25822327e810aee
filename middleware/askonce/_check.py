"""Does the backend that the settings name work from here? Tried, timed and said in words.

What is tried is what a request does: connect, write, read, delete. The round trip that counts is
the one on an open connection, so that it is measured after the probe, and the median of several.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from askonce.caching.caching import Cache
from askonce.errors import AskonceError, BackendError

if TYPE_CHECKING:
    from askonce.caching.base_cache import BaseCache
    from askonce.settings import CacheSettings

LIMIT_SECONDS: Final = 20.0
"""A check that takes longer has failed."""
_LOOK_UPS: Final = 11
_AMPLE: Final = 2.0
"""A look-up should take no more than one part in so many of the time that it may take."""


class Report(msgspec.Struct, frozen=True):
    """What a check found.

    Args:
        type: The backend's type, as the settings name it.
        ok: True if everything worked.
        message: What was done, or what is wrong and what to do about it.
        round_trip: Seconds that a look-up takes, the median of several; None if none was made.
        limit: Seconds that a look-up may take while a request is served; None: no limit.
        advice: What works, and had better be changed.
    """

    type: str
    ok: bool
    message: str
    round_trip: float | None = None
    limit: float | None = None
    advice: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON has it; times in seconds."""
        return msgspec.structs.asdict(self)


async def check(settings: CacheSettings) -> Report:
    """Try the backend that ``settings`` name.

    Args:
        settings: Settings that are right in themselves.

    Returns:
        What was found. Never raises for a backend that does not work.
    """
    try:
        cache = Cache.from_settings(settings)
    except AskonceError as error:
        return Report(settings.type, ok=False, message=str(error))
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await _tried(cache, settings)
    except TimeoutError:
        message = f"{cache.backend.name}: no answer within {LIMIT_SECONDS:g} seconds"
        return Report(settings.type, ok=False, message=message)
    finally:
        await cache.disconnect()


async def _tried(cache: Cache, settings: CacheSettings) -> Report:
    found = await cache.backend.test_connection()
    if found["status"] != "success":
        return Report(settings.type, ok=False, message=found["message"])
    try:
        taken = await _round_trip(cache.backend)
    except BackendError as error:
        return Report(settings.type, ok=False, message=str(error))
    limit = settings.effective_backend_timeout
    advice = _advice(taken, limit)
    return Report(settings.type, True, found["message"], taken, limit, advice)  # noqa: FBT003


async def _round_trip(backend: BaseCache) -> float:
    key = f"askonce-probe:{secrets.token_hex(8)}"
    taken: list[float] = []
    for _ in range(_LOOK_UPS):
        started = time.perf_counter()
        await backend.async_get_entry(key)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _advice(taken: float, limit: float | None) -> tuple[str, ...]:
    if limit is None or taken * _AMPLE <= limit:
        return ()
    advice = (
        f"a look-up takes {taken:.3g} s and may take {limit:g} s: many will be misses. "
        "Raise ASKONCE_BACKEND_TIMEOUT, or move the backend nearer"
    )
    return (advice,)
