"""Logger objects as LiteLLM's users have them, heard from as they are.

Such an object has ``log_success_event`` or ``async_log_success_event``, and perhaps the same for
failures, each called with ``(kwargs, response_obj, start_time, end_time)``:
https://docs.litellm.ai/docs/observability/custom_callback. Where a class inherits one of the two
and defines the other, its own counts; where it defines both, the async one.

They get what an event holds, under the names that they know: no messages and no choices.
"""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from askonce.foreign import outcome
from askonce.observe.subscribers import Mailbox, TaskMailbox, ThreadMailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.observe.events import CacheEvent, Usage

_SUCCESS: Final = ("async_log_success_event", "log_success_event")
_FAILURE: Final = ("async_log_failure_event", "log_failure_event")
_FROM_THE_STORE: Final = frozenset({"hit", "stale", "stale-if-error"})
_BROKEN_OFF: Final = frozenset({"cancelled", "client-gone", "exception", "unfinished"})
_UNANSWERED: Final = frozenset({"refused", "invalid", "gone"})


class Readable(dict[str, Any]):
    """A dict whose members are attributes too, as those of LiteLLM's responses are."""

    def __getattr__(self, name: str) -> Any:
        """Return a member; called for what dict has not."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def is_logger(subscriber: object) -> bool:
    """Say whether an object has one of the methods for successes."""
    return _method(subscriber, _SUCCESS) is not None


def mailbox(name: str, logger: object) -> Mailbox:
    """Make the mailbox of a logger object.

    Args:
        name: What messages call it.
        logger: An object of which ``is_logger`` holds.
    """
    success, failure = _method(logger, _SUCCESS), _method(logger, _FAILURE)
    assert success is not None

    def deliver(event: CacheEvent) -> object:
        method = success if succeeded(event) else failure
        return None if method is None else method(*arguments(event))

    async def deliver_async(event: CacheEvent) -> None:
        method = success if succeeded(event) else failure
        if inspect.iscoroutinefunction(method):
            await method(*arguments(event))
        elif method is not None:
            _, error = await asyncio.to_thread(outcome, method, *arguments(event))
            if error is not None:
                raise error

    if inspect.iscoroutinefunction(success):
        return TaskMailbox(name, deliver_async)
    return ThreadMailbox(name, deliver)


def succeeded(event: CacheEvent) -> bool:
    """Say whether somebody got an answer to a question."""
    if event.outcome in _UNANSWERED or event.reason in _BROKEN_OFF:
        return event.outcome == "stale-if-error"
    return event.status is None or event.status < 400


def arguments(event: CacheEvent) -> tuple[dict[str, Any], Readable, datetime, datetime]:
    """Return what such a method is called with.

    Times are local and naive, as LiteLLM's are: loggers subtract them from ``datetime.now()``.
    """
    start, end = _local(event.time - event.duration), _local(event.time)
    hit = event.outcome in _FROM_THE_STORE
    usage = _usage(event.usage)
    kwargs: dict[str, Any] = {
        "model": event.model,
        "call_type": event.call_type,
        "cache_hit": hit,
        "cache_key": event.key,
        "messages": [],
        "optional_params": {},
        "litellm_params": {"metadata": {}, "preset_cache_key": event.key},
        "response_cost": 0.0 if hit else None,
        "start_time": start,
        "end_time": end,
        "standard_logging_object": _standard(event, usage, hit=hit),
        "askonce_event": event,
    }
    return kwargs, Readable(model=event.model, choices=[], usage=usage), start, end


def _standard(event: CacheEvent, usage: Readable, *, hit: bool) -> dict[str, Any]:
    """What most of LiteLLM's own loggers read; the names are its ``StandardLoggingPayload``'s."""
    return {
        "call_type": event.call_type,
        "model": event.model,
        "cache_hit": hit,
        "cache_key": event.key,
        "status": "success" if succeeded(event) else "failure",
        "error_str": None if succeeded(event) else event.reason,
        "startTime": event.time - event.duration,
        "endTime": event.time,
        "response_time": event.duration,
        "metadata": {},
        **usage,
    }


def _usage(usage: Usage | None) -> Readable:
    return Readable(
        prompt_tokens=(usage and usage.prompt_tokens) or 0,
        completion_tokens=(usage and usage.completion_tokens) or 0,
        total_tokens=(usage and usage.total_tokens) or 0,
    )


def _local(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC).astimezone().replace(tzinfo=None)


def _method(logger: object, names: tuple[str, ...]) -> Callable[..., Any] | None:
    """The method of these names that is defined nearest to the object; of two, the first."""
    near = [(_distance(logger, name), name) for name in names if _has(logger, name)]
    return getattr(logger, min(near, key=lambda found: found[0])[1]) if near else None


def _has(logger: object, name: str) -> bool:
    return callable(getattr(logger, name, None))


def _distance(logger: object, name: str) -> int:
    if name in getattr(logger, "__dict__", {}):
        return -1
    classes = type(logger).__mro__
    return next((n for n, kind in enumerate(classes) if name in vars(kind)), len(classes))
