"""One request on a route of ours: bytes in from ASGI, bytes out to it.

A responder lives as long as its request and holds all of its state (ASGI 3.0, HTTP 2.3).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from askonce.handler import CachingHandler, Forward, Outcome, Passing
from askonce.messages import behind, replayed, send_reply, with_member
from askonce.questions import Request
from askonce.relay import Relay
from askonce.replies import Reply

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from askonce.callers import UnknownCaller
    from askonce.calls.base import Route

_log = logging.getLogger("askonce")


class Responder:
    """Answers one request.

    Args:
        app: The app behind the cache.
        handler: The journey.
        scope: The request's ASGI scope.
        receive: Where its body comes from.
        send: Where its answer goes.
    """

    __slots__ = ("_app", "_handler", "_more", "_receive", "_scope", "_send")

    def __init__(
        self, app: ASGIApp, handler: CachingHandler, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._app = app
        self._handler = handler
        self._scope = scope
        self._receive = receive
        self._send = send
        self._more = False

    async def respond(
        self, route: Route, caller: tuple[str, ...] | UnknownCaller, limit: int
    ) -> Forward | None:
        """Answer the request.

        Args:
            route: The route of its path.
            caller: What the scope says of the caller.
            limit: The most bytes of a body that are read; more streams on uncached.

        Returns:
            What is still to be asked behind the stale answer that was sent, or None.
        """
        message = await self._receive()
        if message["type"] != "http.request":
            return None
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            whole = await self._read_on(body, limit)
            if whole is None:
                return None
            body = whole
        outcome = await self._outcome(self._request(route, caller, body), limit)
        if isinstance(outcome, Reply):
            await send_reply(self._send, outcome)
            return None
        return await self._onward(outcome, body)

    def _request(
        self, route: Route, caller: tuple[str, ...] | UnknownCaller, body: bytes
    ) -> Request:
        if not isinstance(self._scope["headers"], list):  # ASGI allows an iterator
            self._scope = dict(self._scope, headers=list(self._scope["headers"]))
        scope = self._scope
        return Request(
            route,
            scope["method"],
            _path(scope),
            _raw_path(scope),
            scope.get("query_string", b""),
            tuple(scope["headers"]),
            body,
            caller,
        )

    async def _outcome(self, request: Request, limit: int) -> Outcome | None:
        if len(request.body) > limit:
            return self._handler.unread(request, "request-too-large")
        try:
            return await self._handler.arrive(request)
        except Exception:  # noqa: BLE001 - a fault of ours never reaches the client
            _log.exception("a request could not be taken through the cache; the app answers")
            return self._handler.unread(request, "internal-error")

    async def _read_on(self, first: bytes, limit: int) -> bytes | None:
        """The body, or as much as shows that it is over the limit; None if the client left."""
        chunks, size, self._more = [first], len(first), True
        while self._more and size <= limit:
            message = await self._receive()
            if message["type"] != "http.request":
                return None
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            self._more = message.get("more_body", False)
        return b"".join(chunks)

    async def _onward(self, outcome: Forward | Passing | None, body: bytes) -> Forward | None:
        if outcome is None:
            await self._app(self._scope, replayed(body, self._receive, more=self._more), self._send)
            return None
        scope = behind(self._scope, outcome.cut)
        if isinstance(outcome, Passing):
            receive = replayed(outcome.sent(body), self._receive, more=self._more)
            await self._app(scope, receive, with_member(self._send, outcome.member))
            return None
        if outcome.meanwhile is not None:
            await send_reply(self._send, outcome.meanwhile)
            return outcome
        receive = replayed(outcome.sent(body), self._receive, more=self._more)
        await Relay(self._handler, outcome, self._send).carry(self._app, scope, receive)
        return None


def _path(scope: Scope) -> str:
    """The whole path: some frameworks cut the root path off, others leave it in."""
    path: str = scope["path"]
    root_path: str = scope.get("root_path", "")
    return path if not root_path or path.startswith(root_path) else root_path + path


def _raw_path(scope: Scope) -> bytes:
    """The path as it was sent, where decoding it may have lost a difference."""
    raw: bytes | None = scope.get("raw_path")
    return raw if raw is not None and b"%" in raw else b""
