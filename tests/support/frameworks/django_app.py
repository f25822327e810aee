"""Django: what ``get_asgi_application`` returns is wrapped. It has no lifespan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.http import require_POST

from askonce import CacheMiddleware
from support.frameworks.model import EVENT_STREAM, Model, Stream

if TYPE_CHECKING:
    from django.http.request import HttpRequest
    from django.http.response import HttpResponseBase
    from starlette.types import ASGIApp, Receive, Scope, Send


@require_POST
async def chat(request: HttpRequest) -> HttpResponseBase:
    answer = _model(request).answer(request.body, request.headers.get("x-gate"))
    if isinstance(answer, Stream):
        return StreamingHttpResponse(answer.events, content_type=EVENT_STREAM)
    headers = {**answer.headers, "Content-Type": "application/json"}
    return HttpResponse(answer.body, status=answer.status, headers=headers)


async def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_model(request).hello(), content_type="text/plain")


@require_POST
async def open_gate(request: HttpRequest, name: str) -> HttpResponse:
    _model(request).open(name)
    return HttpResponse(status=204)


def _model(request: HttpRequest) -> Model:
    """Settings and URLs are global in Django; the model of each app comes with the request."""
    return request.scope["model"]


urlpatterns = [
    path("v1/chat/completions", chat),
    path("forms/chat/completions", chat),
    path("hello", hello),
    path("gates/<name>", open_gate),
]


def create_app(model: Model) -> ASGIApp:
    if not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], LOGGING_CONFIG=None)
        django.setup()
    site = get_asgi_application()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await site({**scope, "model": model}, receive, send)

    return CacheMiddleware(app)
