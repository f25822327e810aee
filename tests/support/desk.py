"""A desk to ask the same question at, in many ways and at any time, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from askonce import Cache, CacheMiddleware, CacheSettings
from support.asgi import Answered, Dictated, call, chat_body, http_scope

if TYPE_CHECKING:
    from askonce.caching.in_memory_cache import InMemoryCache


class Ask(NamedTuple):
    """One way to ask the same question.

    Args:
        headers: Request headers.
        members: Members of the body beside the question.
        raw: The body, if it is not to be the question.
        user: What an authentication put into the scope.
    """

    headers: tuple[tuple[str, str], ...] = ()
    members: dict[str, Any] = {}  # noqa: RUF012  (a NamedTuple's default, never written to)
    raw: bytes | None = None
    user: object = None


PLAIN = Ask()


def saying(control: str) -> Ask:
    return Ask((("cache-control", control),))


class Desk:
    """A wrapped app to ask, at a time that passes when it is told to.

    Args:
        app: The app.
        backend: Where answers are kept; in memory if None.
        **settings: The operator's word.
    """

    def __init__(
        self, app: Dictated | None = None, backend: InMemoryCache | None = None, **settings: Any
    ) -> None:
        self.now = 1_700_000_000.0
        self.app = app or Dictated()
        made = CacheSettings(**settings)
        cache = Cache(settings=made, backend=backend, clock=self.time)
        self.cached = CacheMiddleware(self.app, made, cache)
        self.cached._handler._clock = self.time

    def time(self) -> float:
        return self.now

    async def ask(self, ask: Ask = PLAIN) -> Answered:
        body = chat_body(**ask.members) if ask.raw is None else ask.raw
        scope = http_scope(headers=ask.headers)
        if ask.user is not None:
            scope["user"] = ask.user
        answered = await call(self.cached, body, scope=scope)
        await self.cached._drain()
        return answered

    async def hear(self, ask: Ask = PLAIN, *, wait: float = 0.0) -> str:
        """Ask after so many seconds, and return what ``Cache-Status`` says."""
        self.now += wait
        return (await self.ask(ask)).cache_status
