"""Who answers behind the cache: the contract of ``StandIn`` and ``Upstream``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response


class Provider(Protocol):
    """Answers OpenAI's API, and knows nothing of caching."""

    async def chat(self, request: Request) -> Response:
        """Answer ``POST /v1/chat/completions``, plain or streamed."""
        ...

    async def completion(self, request: Request) -> Response:
        """Answer ``POST /v1/completions``, plain or streamed."""
        ...

    async def models(self, request: Request) -> Response:
        """Answer ``GET /v1/models``."""
        ...

    def lifespan(self, app: Starlette) -> AbstractAsyncContextManager[None]:
        """Hold open, while the app runs, what the provider needs."""
        ...
