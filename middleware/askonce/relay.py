"""Carries a forwarded request to the app, and the answer back while a recording listens.

Every chunk goes on as it comes. The head of a stream never waits; the head of any other answer
waits for its first body message, because only then is it known whether the answer is complete, and
an app that fails before it has said anything can still be stood in for.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from askonce.messages import headed, send_reply

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from askonce.handler import CachingHandler
    from askonce.outcomes import Forward
    from askonce.replies import Reply

_log = logging.getLogger("askonce")


class Relay:
    """The ``send`` of one forwarded request.

    Args:
        handler: Says whether a stale answer stands in for a failure.
        forward: What is forwarded.
        send: Where the answer goes.
    """

    __slots__ = ("_begun", "_forward", "_handler", "_held", "_recording", "_replaced", "_send")

    def __init__(self, handler: CachingHandler, forward: Forward, send: Send) -> None:
        self._handler = handler
        self._forward = forward
        self._recording = handler.record(forward)
        self._send = send
        self._held: Message | None = None
        self._begun = False
        self._replaced = False

    async def carry(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        """Call the app.

        Raises:
            Exception: Whatever the app raises, unless a stale answer stands in for it.
        """
        try:
            await app(scope, receive, self._hear)
        except Exception:
            if self._replaced:  # by a stale answer; some apps send a 500 and then raise
                _log.exception("the app failed; a stale answer stood in for it")
                return
            reply = None if self._begun else self._handler.instead(self._forward, None)
            if reply is None:
                raise
            _log.exception("the app failed; a stale answer stands in for it")
            await self._replace(reply)
        if self._held is not None:
            await self._release(self._held)

    async def _hear(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            if not self._replaced:
                await self._body(message)
        elif kind == "http.response.start":
            self._held = head = {**message, "headers": tuple(message.get("headers", ()))}
            reply = self._told(head)
            if reply is not None:
                await self._replace(reply)
            elif self._recording.shape == "stream":
                await self._release(head)
        elif not self._replaced:
            await self._send(message)

    def _told(self, head: Message) -> Reply | None:
        try:
            reply = self._handler.instead(self._forward, head["status"])
            if reply is None:
                self._recording.head(head["status"], head["headers"])
        except Exception:  # noqa: BLE001 - a fault of ours never reaches the client
            _log.exception("a head could not be read; the answer is passed on and not stored")
            self._recording.drop("internal-error")
            return None
        return reply

    async def _body(self, message: Message) -> None:
        recording, last = self._recording, not message.get("more_body", False)
        recording.add(bytes(message.get("body") or b""))
        if last:
            try:
                await recording.conclude()
            except Exception:  # noqa: BLE001 - a fault of ours never reaches the client
                _log.exception("an answer could not be examined; it is passed on and not stored")
        if self._held is not None:
            await self._release(self._held)
        await self._send(message)
        if last and recording.underway:
            await recording.store()

    async def _release(self, head: Message) -> None:
        self._held = None
        self._begun = True
        await self._send(headed(head, self._recording.member()))

    async def _replace(self, reply: Reply) -> None:
        self._held = None
        self._begun = self._replaced = True
        await send_reply(self._send, reply)
