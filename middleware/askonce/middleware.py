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
from askonce.switching import SWITCH, InService, Position, Standing, Switch, settled
from askonce.watched import Watched

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
    where answers are kept and ``settings`` the rest. Without ``cache``, ``enable_cache`` and its
    like (:mod:`askonce.switching`) switch it while the app runs.

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
        self._app = app
        self._settings = settings
        self._owned = cache is None
        self._switch = SWITCH if cache is None else Switch(InService(cache))
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._complained = False
        self._position: Standing | None = None  # the first request has yet to look where it stands
        self._prepare(self._switch.position)

    def _follow(self) -> InService | None:
        """Turn to the cache that is in service now, None if there is none. In an event loop."""
        position = self._switch.position
        if position is not self._prepared:
            self._prepare(position)
        if self._service is not None:
            self._service.belongs_here()
        self._position = position
        return self._service

    def _prepare(self, position: Standing) -> None:
        self._prepared, self._service = position, None
        if position is Position.OFF:
            return
        if isinstance(position, InService):
            service, settings = position, self._settings or position.cache.settings
        else:
            settings = self._settings or CacheSettings()
            service = InService(Cache.from_settings(settings))
            self._switch.owns(service)
        self._handler = CachingHandler(settings, service.cache)
        self._callers = CallerReader(settings.caller_id, shared=settings.share_between_callers)
        self._limit = settings.max_request_bytes
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        follows = self._position is self._switch.position
        service = self._service if follows else self._follow()
        if scope["type"] != "http" or service is None:
            await self._aside(scope, receive, send)
            return
        handler = self._handler  # the one of this request, whatever is in service at its end
        route = handler.route(scope["path"], scope.get("root_path", ""))
        if route is None or scope["method"] not in METHODS:
            await self._app(scope, receive, send)
            return
        if WRAPPED in scope:
            self._complain()
            await self._app(scope, receive, send)
            return
        if not isinstance(scope["headers"], list):  # ASGI allows an iterator, which is used up
            scope = dict(scope, headers=list(scope["headers"]))
        caller = self._callers.read(scope)
        watched, observation, events = None, None, handler.cache.events
        if events is not None:
            observation = events.begin(route.call.name)
            watched = Watched(observation, receive, send)
            receive, send = watched.receive, watched.send
        responder = Responder(self._app, handler, scope, receive, send, observation)
        service.requests.add(responder)
        try:
            responding = responder.respond(route, caller, self._limit)
            behind_it = await (responding if watched is None else watched.until_over(responding))
            if behind_it is not None:
                self._refresh(behind_it, scope, handler, service)
        finally:
            service.requests.discard(responder)
            if service.is_retired:
                service.close()

    def _complain(self) -> None:
        """Say once that another CacheMiddleware stands around this one: it does the work."""
        if not self._complained:
            self._complained = True
            _log.warning(_TWICE)

    def _refresh(
        self, forward: Forward, scope: Scope, handler: CachingHandler, service: InService
    ) -> None:
        """Ask the app behind a stale answer, once at a time for each key."""
        key = forward.key
        if key not in self._refreshes:
            task = asyncio.create_task(self._refreshed(forward, scope, handler))
            self._refreshes[key] = task
            service.requests.add(task)
            task.add_done_callback(lambda _: self._refreshes.pop(key))
            task.add_done_callback(service.end)

    async def _refreshed(self, forward: Forward, scope: Scope, handler: CachingHandler) -> None:
        receive, send = unheard()
        body = forward.journey.request.body if forward.cut is None else forward.cut
        try:
            await Relay(handler, forward, send).carry(
                self._app, behind(scope, forward.cut), replayed(body, receive)
            )
        except Exception:  # noqa: BLE001 - nobody waits for it who could be told
            _log.exception("a refresh behind a stale answer failed")

    async def _aside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is not cached passes untouched; so does a lifespan, but its end is heard."""
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
        if self._service is not None:
            await self._service.cache.drain()

    async def _close(self) -> None:
        if self._owned and self._service is not None:
            await self._service.cache.disconnect()
        await settled()


_TWICE: Final = "CacheMiddleware is around this app twice: only the outer one caches. Remove one."
