"""ASGI messages and scopes, made and rewritten (ASGI 3.0, HTTP 2.3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from askonce.replies import Reply

WRAPPED: Final = "askonce.wrapped"
"""Set in the scope that the app gets, so that a second CacheMiddleware steps aside."""

_BODY_FIELDS: Final = frozenset(
    (
        b"content-length",
        b"transfer-encoding",
        b"content-encoding",
        b"content-digest",
        b"repr-digest",
        b"digest",
        b"content-md5",
    )
)
"""Request fields that describe the body as it was before the ``cache`` object was cut out."""

_DEAF_EXTENSIONS: Final = frozenset(
    (
        "http.response.pathsend",
        "http.response.zerocopysend",
        "http.response.trailers",
        "http.response.push",
        "http.response.early_hint",
    )
)
"""Ways to answer that a recording could not hear, or that a held head would disorder."""


def messages(reply: Reply) -> tuple[Message, Message]:
    """Make the two messages of a whole answer."""
    return (
        {"type": "http.response.start", "status": reply.status, "headers": reply.headers},
        {"type": "http.response.body", "body": reply.body},
    )


async def send_reply(send: Send, reply: Reply) -> None:
    """Send a whole answer."""
    for message in messages(reply):
        await send(message)


def behind(scope: Scope, cut: bytes | None) -> Scope:
    """The scope that the app gets: a copy, marked, without what could not be heard.

    Args:
        scope: The request's scope.
        cut: The body for the app if it is not the one that was sent; the fields that describe
            the body then follow it.
    """
    copy = {**scope, WRAPPED: True}
    if scope.get("extensions"):
        copy["extensions"] = {
            name: value
            for name, value in scope["extensions"].items()
            if name not in _DEAF_EXTENSIONS
        }
    if cut is not None:
        copy["headers"] = _described(scope, cut)
    return copy


def _described(scope: Scope, cut: bytes) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in scope["headers"] if name.lower() not in _BODY_FIELDS]
    return [*kept, (b"content-length", b"%d" % len(cut))]


def replayed(body: bytes, receive: Receive, more: bool = False) -> Receive:
    """The app's ``receive``: what was read already, then whatever comes.

    Args:
        body: The bytes that were read.
        receive: The server's own.
        more: True if the client is still sending.
    """
    first: Message | None = {"type": "http.request", "body": body, "more_body": more}

    async def replay() -> Message:
        nonlocal first
        if first is None:
            return await receive()
        message, first = first, None
        return message

    return replay


def unheard() -> tuple[Receive, Send]:
    """Both ends of a request whose client was answered already.

    As from a server, ``receive`` says that the client is gone once the answer was sent whole:
    some frameworks wait for that before they return.
    """
    over = asyncio.Event()

    async def receive() -> Message:
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            over.set()

    return receive, send


def with_member(send: Send, member: bytes) -> Send:
    """The app's ``send``: our member of Cache-Status is added behind the app's own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = headed(message, member)
        await send(message)

    return sending


def headed(message: Message, member: bytes) -> Message:
    """A response head with our member of Cache-Status behind the app's own."""
    headers = [*message.get("headers", ()), (b"cache-status", member)]
    return {**message, "headers": headers}
