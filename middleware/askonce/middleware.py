"""The cache as ASGI middleware: one line in any ASGI app.

The middleware itself holds configuration only; what a request needs while it is served lives in
its :class:`~askonce.responder.Responder`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from askonce.caching.caching import Cache
from askonce.callers import CallerReader
from askonce.errors import AlreadyWrappedError, SettingsError
from askonce.handler import CachingHandler
from askonce.messages import WRAPPED, behind, replayed, unheard
from askonce.relay import Relay
from askonce.responder import Responder
from askonce.settings import CacheSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from askonce.outcomes import Forward

_log = logging.getLogger("askonce")

DRAIN_SECONDS: Final = 10.0
"""How long a shutdown waits for refreshes behind stale answers before it cancels them."""

METHODS: Final = frozenset(("POST", "QUERY"))
"""QUERY (RFC 10008) is POST that promises to change nothing."""


class CacheMiddleware:
    """Answers LLM calls that were answered before.

    With neither ``settings`` nor ``cache``, the environment decides. Given both, ``cache`` decides
    where answers are kept and ``settings`` the rest.

    Args:
        app: The ASGI app to wrap.
        settings: What the operator wants.
        cache: Where answers are kept. It is left open at shutdown: who opened it closes it.
        admin_path: Reserved for the operator's endpoints; this version has none.

    Raises:
        SettingsError: A setting is wrong; the message has one line per field.
        AlreadyWrappedError: ``app`` is a CacheMiddleware itself.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: CacheSettings | None = None,
        cache: Cache | None = None,
        admin_path: str | None = None,
    ) -> None:
        if isinstance(app, CacheMiddleware):
            raise AlreadyWrappedError(_TWICE)
        if admin_path is not None:
            raise SettingsError(
                "admin_path: this version has no operator's endpoints; leave it out"
            )
        settings = settings or (cache.settings if cache else CacheSettings())
        self._app = app
        self._owned = cache is None
        self._handler = CachingHandler(settings, cache or Cache.from_settings(settings))
        self._callers = CallerReader(settings.caller_id, shared=settings.share_between_callers)
        self._limit = settings.max_request_bytes
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._complained = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._aside(scope, receive, send)
            return
        route = self._handler.route(scope["path"], scope.get("root_path", ""))
        if route is None or scope["method"] not in METHODS:
            await self._app(scope, receive, send)
            return
        if WRAPPED in scope:
            self._complain()
            await self._app(scope, receive, send)
            return
        responder = Responder(self._app, self._handler, scope, receive, send)
        behind_it = await responder.respond(route, self._callers.read(scope), self._limit)
        if behind_it is not None:
            self._refresh(behind_it, scope)

    def _complain(self) -> None:
        """Say once that another CacheMiddleware stands around this one: it does the work."""
        if not self._complained:
            self._complained = True
            _log.warning(_TWICE)

    def _refresh(self, forward: Forward, scope: Scope) -> None:
        """Ask the app behind a stale answer, once at a time for each key."""
        key = forward.key
        if key not in self._refreshes:
            task = asyncio.create_task(self._refreshed(forward, scope))
            self._refreshes[key] = task
            task.add_done_callback(lambda _: self._refreshes.pop(key))

    async def _refreshed(self, forward: Forward, scope: Scope) -> None:
        receive, send = unheard()
        body = forward.journey.request.body if forward.cut is None else forward.cut
        try:
            await Relay(self._handler, forward, send).carry(
                self._app, behind(scope, forward.cut), replayed(body, receive)
            )
        except Exception:  # noqa: BLE001 - nobody waits for it who could be told
            _log.exception("a refresh behind a stale answer failed")

    async def _aside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """WebSockets pass untouched; a lifespan passes, and its end is heard."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def hear() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._drain()
            return message

        async def tell(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):
                await self._close()
            await send(message)

        await self._app(scope, hear, tell)

    async def _drain(self) -> None:
        if self._refreshes:
            _, late = await asyncio.wait(self._refreshes.values(), timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=DRAIN_SECONDS)
        await self._handler.cache.drain()

    async def _close(self) -> None:
        if self._owned:
            await self._handler.cache.disconnect()


_TWICE: Final = "CacheMiddleware is around this app twice: only the outer one caches. Remove one."
