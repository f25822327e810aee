"""Time that passes on a Redis server without anyone waiting for it.

A second of the tests is a thousand on the server, so that what a test really takes does not count.
To let time pass is to move the end of every key's time nearer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askonce.caching import _redis_commands

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from support.kinds.kind import Clock

STRETCH = 1000

_NEARER = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  local over = redis.call('PEXPIRETIME', key)
  if over > 0 then redis.call('PEXPIREAT', key, over - ARGV[1]) end
end
"""


def stretch(monkeypatch: pytest.MonkeyPatch, _clock: Clock) -> None:
    """Let a second be a thousand on every Redis server."""
    real = _redis_commands.milliseconds
    monkeypatch.setattr(_redis_commands, "milliseconds", lambda seconds: STRETCH * real(seconds))


def let_pass(ask: Callable[..., Any], seconds: float) -> None:
    """Let time pass on the server that ``ask`` sends a command to."""
    ask("EVAL", _NEARER, 0, int(seconds * 1000 * STRETCH))
