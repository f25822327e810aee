"""An OpenAI-compatible API behind a cache: the line that matters is ``add_middleware``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from askonce import CacheMiddleware

if TYPE_CHECKING:
    from sample_app.provider import Provider

PAGE = Path(__file__).with_name("page")


def create_app(provider: Provider) -> Starlette:
    """Build the app around ``provider``, cached."""
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", provider.chat, methods=["POST"]),
            Route("/v1/completions", provider.completion, methods=["POST"]),
            Route("/v1/models", provider.models),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        lifespan=provider.lifespan,
    )
    app.add_middleware(CacheMiddleware)
    return app
