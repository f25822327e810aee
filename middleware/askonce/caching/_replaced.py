"""Parts of a cache that somebody replaced: by assignment, or in a subclass.

``get_cache_key``, ``get_cache`` and ``add_cache`` may be replaced, each on its own, by sync or
async functions. They get a call's fields, and beside them ``call_type`` and ``path``. A sync one
runs in a thread, for nobody knows what it waits for. Whatever one raises is an error of its own:
it neither cancels who called it nor ends the event loop. Whether anything is replaced is found out
when an attribute is set, not with every request.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from askonce.calls.canonical import is_json
from askonce.errors import BackendError
from askonce.foreign import is_ended, outcome

if TYPE_CHECKING:
    from askonce.codec import JSON

Part: TypeAlias = Callable[..., Any]

LIMIT_SECONDS: Final = 1.0
"""How long a replacement may take where a call of the backend has no limit."""

_NAMES: Final = {
    "get_cache_key": ("get_cache_key",),
    "get_cache": ("async_get_cache", "get_cache"),
    "add_cache": ("async_add_cache", "add_cache"),
}
"""Part to the methods that are it; if both are replaced, the asynchronous one counts."""

REPLACEABLE: Final = frozenset(name for names in _NAMES.values() for name in names)


class Replaced(msgspec.Struct, frozen=True):
    """The replacements, None for a part that is the cache's own.

    Args:
        get_cache_key: Returns a text that stands for a call's fields in its key.
        get_cache: Returns an Entry, a JSON value, or None.
        add_cache: Takes an answer as a JSON value.
    """

    get_cache_key: Part | None = None
    get_cache: Part | None = None
    add_cache: Part | None = None


def replaced(cache: object, original: type) -> Replaced | None:
    """Find out which parts of a cache are replaced.

    Args:
        cache: The cache.
        original: The class that has the parts as they are meant.

    Returns:
        None if nothing is.
    """
    found = {part: _replacement(cache, original, names) for part, names in _NAMES.items()}
    return Replaced(**found) if any(found.values()) else None


async def call(part: Part, limit: float | None, /, *args: Any, **fields: Any) -> Any:
    """Call a replacement without holding up the event loop.

    Args:
        part: The replacement.
        limit: Seconds that it may take; None: ``LIMIT_SECONDS``.
        *args: What it gets.
        **fields: What it gets by name.

    Raises:
        TimeoutError: It took too long.
        Exception: Whatever it raises.
        BackendError: It raised something that is no ``Exception``, or ``StopIteration``.
    """
    async with asyncio.timeout(LIMIT_SECONDS if limit is None else limit):
        return await _called(part, args, fields)


async def _called(part: Part, args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
    task = asyncio.current_task()
    try:
        if inspect.iscoroutinefunction(part):
            return await part(*args, **fields)
        result, error = await asyncio.to_thread(outcome, part, *args, **fields)
        if error is not None:
            raise _as_exception(error)
        return await result if inspect.isawaitable(result) else result
    except (asyncio.CancelledError, GeneratorExit, SystemExit) as raised:
        if is_ended(task):
            raise
        raise _as_exception(raised) from raised


def refuse_async(part: Part) -> None:
    """Refuse a replacement for which a synchronous caller cannot wait.

    Raises:
        TypeError: It is async.
    """
    if inspect.iscoroutinefunction(part):
        raise TypeError("get_cache_key is async here: use the method that begins with async_")


def key_text(made: object) -> str:
    """Return what a replaced ``get_cache_key`` returned.

    Raises:
        TypeError: It is no text.
    """
    if not isinstance(made, str):
        raise TypeError(f"get_cache_key returned {type(made).__name__}, not str")
    return made


def as_json(result: Any) -> JSON:
    """Return a result as plain JSON.

    Args:
        result: A JSON value, or an object with pydantic's ``model_dump``.

    Raises:
        TypeError: It is neither.
    """
    plain: JSON = result.model_dump(mode="json") if hasattr(result, "model_dump") else result
    if not is_json(plain):
        raise TypeError(f"{type(result).__name__}: the result is not a JSON value")
    return plain


def _as_exception(error: BaseException) -> Exception:
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return BackendError(f"it raised {type(error).__name__}")


def _replacement(cache: object, original: type, names: tuple[str, ...]) -> Part | None:
    for name in names:
        own: Part = getattr(cache, name)
        if getattr(own, "__func__", own) is not vars(original)[name]:
            return own
    return None
