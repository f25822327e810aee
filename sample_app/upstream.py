"""A real provider: requests go to ``UPSTREAM_URL``, answers come back as they arrive.

Bytes are neither read nor changed, so that whatever speaks OpenAI's protocol will do. Only what the
cache in front keys is passed on (credentials, OpenAI-* headers), beside the body and what describes
it: an answer must not depend on something that the cache does not see.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import anyio
import httpx
from starlette.responses import Response, StreamingResponse

from sample_app import wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

TIMEOUT = httpx.Timeout(600, connect=10)
"""Seconds: a model may think for minutes, but a provider that is there accepts at once."""

_PASSED_ON = (
    "authorization",
    "api-key",
    "x-api-key",
    "openai-organization",
    "openai-project",
    "openai-beta",
    "content-type",
    "content-encoding",
)
# RFC 9110 section 7.6.1; Date and Server are written by our own server.
_NOT_PASSED_BACK = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"date",
    b"server",
}


class Upstream:
    """Passes requests on. Implements :class:`~sample_app.provider.Provider`.

    Args:
        url: The provider's base URL, for example ``https://api.openai.com/v1``.
        timeout: How long to wait for the provider.

    Raises:
        ValueError: ``url`` is no http or https URL.
    """

    def __init__(self, url: str, timeout: httpx.Timeout = TIMEOUT) -> None:
        try:
            base = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"UPSTREAM_URL is no URL: {error}") from None
        if base.scheme not in {"http", "https"} or not base.host:
            raise ValueError(f"UPSTREAM_URL must begin with https:// or http://, not {url!r}")
        self._client = httpx.AsyncClient(
            base_url=base,
            timeout=timeout,
            headers={"accept-encoding": "identity"},  # the bytes go back as they are
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # kept for nobody
        )

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncGenerator[None]:  # noqa: ARG002
        """Keep connections to the provider open while the app runs."""
        async with self._client:
            yield

    async def chat(self, request: Request) -> Response:
        """Pass a conversation on."""
        return await self._pass_on(request, "chat/completions")

    async def completion(self, request: Request) -> Response:
        """Pass a prompt on."""
        return await self._pass_on(request, "completions")

    async def models(self, request: Request) -> Response:
        """Pass the question for models on."""
        return await self._pass_on(request, "models")

    async def _pass_on(self, request: Request, path: str) -> Response:
        headers = [(name, request.headers[name]) for name in _PASSED_ON if name in request.headers]
        asked = self._client.build_request(
            request.method,
            f"{path}?{request.url.query}" if request.url.query else path,
            content=await request.body(),
            headers=headers,
        )
        response: Response = wire.error(502, "The client left before the provider answered.")
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_when_gone, request, group.cancel_scope)
            response = await self._ask(asked)
            group.cancel_scope.cancel()
        return response

    async def _ask(self, asked: httpx.Request) -> Response:
        try:
            return Relay(await self._client.send(asked, stream=True))
        except httpx.TimeoutException:
            return _failure(504, "The provider did not answer in time.", "upstream_timeout")
        except httpx.HTTPError as error:
            message = f"The provider could not be reached: {str(error) or type(error).__name__}"
            return _failure(502, message, "upstream_unreachable")


class Relay(StreamingResponse):
    """The provider's answer, chunk by chunk.

    However it ends (whole, broken, or because the client left), the stream from the provider is
    closed with it, so that nobody goes on paying for tokens that nobody reads.
    """

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.aiter_raw(), answer.status_code)
        self.raw_headers = _passed_back(answer.headers)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._answer.aclose()


def _passed_back(headers: httpx.Headers) -> list[tuple[bytes, bytes]]:
    named = headers.get("connection", "").lower().encode("latin-1").split(b",")
    dropped = _NOT_PASSED_BACK | {name.strip() for name in named}
    lowered = [(name.lower(), value) for name, value in headers.raw]
    return [(name, value) for name, value in lowered if name not in dropped]


async def _cancel_when_gone(request: Request, scope: anyio.CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _failure(status: int, message: str, code: str) -> Response:
    return wire.error(status, message, kind="server_error", code=code)
