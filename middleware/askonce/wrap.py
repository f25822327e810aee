"""A plain function in and out: the cache for callers without HTTP.

::

    @cached(cache)
    async def complete(**call): ...

    answer = await cached_call(cache, client.chat.completions.create, model=..., messages=...)

The arguments are the members of an API's request body, by name. Beside them a call may say
``cache={"ttl": 60, "s-maxage": 600, "no-cache": True, "no-store": True, "namespace": "x",
"use-cache": True}``, ``caller="..."`` (callers do not share answers unless the operator says so)
and ``namespace="..."``; the function gets these only if it names them as parameters of its own.

The key is made of the arguments alone, as ``cache.get_cache_key`` makes it, not of the function:
functions that answer the same arguments differently need namespaces of their own.

The result is stored if it is a complete answer of its API, as a JSON value or a pydantic object,
and comes back in the type that it had. In a new process, so after a restart too, it is a hit only
if the function is annotated with what it returns, as in ``-> ChatCompletion``; without that the
function has to return the type once before. ``stream=True`` passes uncached, as do arguments that
JSON does not have. Objects are marked: ``result._hidden_params["cache_hit"]`` is True or False.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, assert_never, cast, overload

from askonce._wrapped import Ask, Find, Keep, Read, Refresh, Step, Steps, Wrapped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from askonce._arguments import Given
    from askonce.caching.caching import Cache

__all__ = ["cached", "cached_call"]

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("askonce")


def cached(
    cache: Cache, call_type: str = "completion"
) -> Callable[[Callable[P, R]], Callable[..., R]]:
    """Wrap a completion function; see the module for what a call may say beside its arguments.

    An async function stays async, a sync one stays sync. A stale result within
    ``stale_while_revalidate`` is returned by async functions only: they fetch a fresh one in a
    task behind it.

    Args:
        cache: Where results are kept.
        call_type: ``completion`` or ``text_completion``.

    Returns:
        The decorator.

    Raises:
        ValueError: This version does not know the call type, or, when it decorates, the function
            has a parameter ``call_type``.
    """
    Wrapped(cache, _nothing, call_type, refreshes=False)  # says now what is wrong

    def decorate(function: Callable[P, R]) -> Callable[..., R]:
        if _is_async(function):
            answering = _Async(cache, function, call_type)

            @functools.wraps(function)
            async def answer_async(*args: Any, **kwargs: Any) -> Any:
                return await answering.answer(args, kwargs)

            return cast("Callable[..., R]", answer_async)
        wrapped = Wrapped(cache, function, call_type, refreshes=False)

        @functools.wraps(function)
        def answer(*args: Any, **kwargs: Any) -> Any:
            return _followed(cache, function, wrapped.journey(args, kwargs))

        return answer

    return decorate


@overload
async def cached_call(
    cache: Cache,
    function: Callable[..., Awaitable[R]],
    /,
    *,
    call_type: str = ...,
    **kwargs: Any,
) -> R: ...
@overload
async def cached_call(
    cache: Cache, function: Callable[..., R], /, *, call_type: str = ..., **kwargs: Any
) -> R: ...
async def cached_call(
    cache: Cache,
    function: Callable[..., Any],
    /,
    *,
    call_type: str = "completion",
    **kwargs: Any,
) -> Any:
    """Call a completion function through the cache; see the module.

    Args:
        cache: Where results are kept.
        function: The function. A sync one is called in a thread, so that the event loop goes on.
        call_type: ``completion`` or ``text_completion``.
        **kwargs: The call.

    Returns:
        The function's result, or a stored one.

    Raises:
        TypeError: ``caller``, ``namespace`` or ``cache`` has a wrong type.
        ValueError: This version does not know the call type, or ``cache`` has a wrong member.
        Exception: Whatever the function raises.
    """
    return await _Async(cache, function, call_type).answer((), kwargs)


class _Async:
    """Follows journeys in an event loop."""

    def __init__(self, cache: Cache, function: Callable[..., Any], call_type: str) -> None:
        self._cache = cache
        self._function = function
        self._is_async = _is_async(function)
        self._wrapped = Wrapped(cache, function, call_type, refreshes=True)
        self._refreshes: dict[str, asyncio.Task[None]] = cache.companion(_Refreshes)

    async def answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Take a call through the cache."""
        return await self._follow(self._wrapped.journey(args, kwargs))

    async def _follow(self, journey: Steps) -> Any:
        try:
            step = next(journey)
            while True:
                try:
                    done = await self._do(step)
                except BaseException as error:  # noqa: BLE001 - the journey's to act on
                    step = journey.throw(error)
                else:
                    step = journey.send(done)
        except StopIteration as end:
            return end.value

    async def _do(self, step: Step) -> Any:
        match step:
            case Read(asked=asked):
                return await self._cache.aread_call(asked)
            case Find(key=key):
                return await self._cache.lookup(key, counted=False)
            case Ask(given=given):
                return await self._ask(given.args, given.kwargs)
            case Keep(recording=recording):
                await recording.conclude()
                return await recording.store() if recording.underway else None
            case Refresh(key=key, journey=journey):
                return self._refresh(key, journey)
            case _:
                assert_never(step)

    async def _ask(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._is_async:
            result = _called(self._function, args, kwargs)
        else:
            result = await asyncio.to_thread(_called, self._function, args, kwargs)
        return await result if inspect.isawaitable(result) else result

    def _refresh(self, key: str, journey: Steps) -> None:
        if key not in self._refreshes:
            task = asyncio.create_task(self._refreshed(journey))
            self._refreshes[key] = task
            task.add_done_callback(lambda _: self._refreshes.pop(key))

    async def _refreshed(self, journey: Steps) -> None:
        try:
            await self._follow(journey)
        except Exception:  # noqa: BLE001 - nobody waits for it who could be told
            _log.exception("a refresh behind a stale result failed")


class _Refreshes(dict[str, "asyncio.Task[None]"]):
    """The refreshes that run for one cache, by key."""

    def __init__(self, cache: Cache) -> None:
        super().__init__()
        del cache


class _Stopped(Exception):  # noqa: N818 - no error of its own
    """Carries a StopIteration through a journey: a generator cannot let one pass (PEP 479)."""

    def __init__(self, error: StopIteration) -> None:
        super().__init__()
        self.error = error


def _called(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function for a coroutine; a future that gets a StopIteration never ends."""
    try:
        return function(*args, **kwargs)
    except StopIteration as error:
        raise RuntimeError(
            "the wrapped function raised StopIteration, which cannot be raised by what is awaited"
        ) from error


def _followed(cache: Cache, function: Callable[..., Any], journey: Steps) -> Any:
    """Follow a journey in this thread."""
    try:
        step = next(journey)
        while True:
            try:
                done = _done(cache, function, step)
            except BaseException as error:  # noqa: BLE001 - the journey's to act on
                step = journey.throw(error)
            else:
                step = journey.send(done)
    except StopIteration as end:
        return end.value
    except _Stopped as stopped:
        raise stopped.error from None


def _done(cache: Cache, function: Callable[..., Any], step: Step) -> Any:
    match step:
        case Read(asked=asked):
            return cache.read_call(asked)
        case Find(key=key):
            return cache.find(key, counted=False)
        case Ask(given=given):
            return _answer(function, given)
        case Keep(recording=recording):
            return recording.conclude_here()
        case Refresh():
            raise AssertionError("nothing can be fetched behind a sync call")
        case _:
            assert_never(step)


def _answer(function: Callable[..., Any], given: Given) -> Any:
    try:
        return function(*given.args, **given.kwargs)
    except StopIteration as error:
        raise _Stopped(error) from error


def _is_async(function: Callable[..., Any]) -> bool:
    """Say whether a function is async, be it behind a decorator, or an object's ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    called: Any = type(function).__call__
    return any(map(inspect.iscoroutinefunction, (function, inspect.unwrap(function), called)))


def _nothing() -> None:
    """Stand in for the function that is not there yet."""
