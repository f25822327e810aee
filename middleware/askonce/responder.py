"""One request on a route of ours: bytes in from ASGI, bytes out to it.

A responder lives as long as its request and holds all of its state (ASGI 3.0, HTTP 2.3).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from askonce.messages import behind, messages, replayed, send_reply, with_member
from askonce.outcomes import Forward, Outcome, Passing
from askonce.questions import Request
from askonce.relay import Relay
from askonce.replies import Reply

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from askonce.callers import UnknownCaller
    from askonce.calls.base import Route
    from askonce.entry import Headers
    from askonce.handler import CachingHandler
    from askonce.observe.observation import Observation

_log = logging.getLogger("askonce")


class Responder:
    """Answers one request.

    Args:
        app: The app behind the cache.
        handler: The journey.
        scope: The request's ASGI scope.
        receive: Where its body comes from.
        send: Where its answer goes.
        observation: Where to write down what happens; None if nobody wants to know.
    """

    __slots__ = ("_app", "_handler", "_more", "_observation", "_receive", "_scope", "_send")

    _scope: Scope

    def __init__(  # noqa: PLR0913, PLR0917  (ASGI's three, and who needs them)
        self,
        app: ASGIApp,
        handler: CachingHandler,
        scope: Scope,
        receive: Receive,
        send: Send,
        observation: Observation | None = None,
    ) -> None:
        self._app = app
        self._handler = handler
        self._scope = scope
        self._receive = receive
        self._send = send
        self._more = False
        self._observation = observation

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
        body = bytes(message.get("body") or b"")
        if message.get("more_body", False):
            whole = await self._read_on(body, limit)
            if whole is None:
                return None
            body = whole
        request = self._request(route, caller, body)
        outcome: Outcome | None
        try:
            if len(body) > limit:
                outcome = self._handler.unread(request, "request-too-large")
            else:
                outcome = await self._handler.arrive(request)
        except Exception:  # noqa: BLE001 - a fault of ours never reaches the client
            _log.exception("a request could not be taken through the cache; the app answers")
            outcome = self._handler.failed(request)
        if not isinstance(outcome, Reply):
            return await self._onward(outcome, body)
        start, end = messages(outcome)
        await self._send(start)
        await self._send(end)
        return None

    def _request(
        self, route: Route, caller: tuple[str, ...] | UnknownCaller, body: bytes
    ) -> Request:
        scope = self._scope
        headers: Headers = tuple(scope["headers"])
        raw: bytes | None = scope.get("raw_path")
        query: bytes = scope.get("query_string", b"")
        return Request(
            route,
            scope["method"],
            scope["path"],
            # Decoding may have lost a difference.
            raw if raw is not None and b"%" in raw else b"",
            query,
            headers,
            body,
            caller,
            scope.get("root_path", ""),
            self._observation,
        )

    async def _read_on(self, first: bytes, limit: int) -> bytes | None:
        """The body, or as much as shows that it is over the limit; None if the client left."""
        chunks, size, self._more = [first], len(first), True
        while self._more and size <= limit:
            message = await self._receive()
            if message["type"] != "http.request":
                return None
            chunks.append(message.get("body") or b"")
            size += len(chunks[-1])
            self._more = message.get("more_body", False)
        return b"".join(chunks)

    async def _onward(self, outcome: Forward | Passing | None, body: bytes) -> Forward | None:
        if outcome is None:
            if self._observation is not None:
                self._observation.dismiss()
            await self._app(self._scope, replayed(body, self._receive, self._more), self._send)
            return None
        cut = outcome.cut
        scope = behind(self._scope, cut)
        receive = replayed(body if cut is None else cut, self._receive, self._more)
        if isinstance(outcome, Passing):
            await self._app(scope, receive, with_member(self._send, outcome.member))
            return None
        if outcome.meanwhile is not None:
            await send_reply(self._send, outcome.meanwhile)
            return outcome
        await Relay(self._handler, outcome, self._send).carry(self._app, scope, receive)
        return None
