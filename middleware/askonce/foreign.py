"""Somebody else's code, called from ours: subscribers, replaced parts. It may raise anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def outcome(
    function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> tuple[Any, BaseException | None]:
    """Call a function in a thread that a coroutine waits for.

    A future cannot hold ``StopIteration``: who awaits it would wait for ever.

    Returns:
        What it returned, and what it raised.
    """
    try:
        return function(*args, **kwargs), None
    except BaseException as error:  # noqa: BLE001 - whatever it raises
        return None, error


def is_ended(task: asyncio.Task[Any] | None) -> bool:
    """Say whether somebody ends a task: cancels it, or throws its coroutine away.

    Args:
        task: The task that ran before the other's code was awaited.

    Returns:
        False if that code itself raised what looks like such an end.
    """
    try:
        current = asyncio.current_task()
    except RuntimeError:  # no loop runs any more
        return True
    return current is not task or (task is not None and task.cancelling() > 0)
