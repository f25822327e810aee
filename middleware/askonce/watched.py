"""One request as its client sees it: what was sent, how much of it, and whether it was the end.

Only requests to a cache with subscribers are watched. ASGI 3.0, HTTP 2.3.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from starlette.types import Message, Receive, Send

    from askonce.observe.observation import Observation
    from askonce.outcomes import Forward


class Watched:
    """Stands between a responder and the server.

    Args:
        observation: Where to write down what happens.
        receive: The server's own.
        send: The server's own.
    """

    def __init__(self, observation: Observation, receive: Receive, send: Send) -> None:
        self._observation = observation
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """Receive a message, and hear if the client is gone."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._breaks("client-gone")
        return message

    async def send(self, message: Message) -> None:
        """Send a message. The request is over with its last body message."""
        observation = self._observation
        try:
            await self._send(message)
        except OSError:
            self._breaks("client-gone")
            raise
        if message["type"] == "http.response.start":
            observation.status = message["status"]
        elif message["type"] == "http.response.body":
            observation.bytes += len(message.get("body") or b"")
            if not message.get("more_body", False) and not observation.underway:
                observation.finish()

    async def until_over(self, responding: Coroutine[Any, Any, Forward | None]) -> Forward | None:
        """Respond. Whatever comes of it, the request is over then."""
        try:
            return await responding
        except asyncio.CancelledError:
            self._breaks("cancelled")
            raise
        except Exception:
            self._breaks("exception")
            raise
        finally:
            self._observation.finish()

    def _breaks(self, reason: str) -> None:
        self._observation.broken = self._observation.broken or reason
