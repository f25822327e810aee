"""Answers on disk: they outlive the server, and a disk that fails costs no request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx

from askonce import CacheSettings
from support import sites
from support.cache_status import HIT, MISS, said
from support.server import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from support.sites import Site

CHAT = "/v1/chat/completions"
QUESTION = {"model": "text", "messages": [{"role": "user", "content": "hi"}]}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
FAILED = re.compile("askonce; fwd=miss; detail=backend-error")


def ask(site: Site, **members: Any) -> httpx.Response:
    """Ask under one name, whatever the port: answers belong to the name they were asked under."""
    return httpx.post(
        site.url + CHAT,
        json=QUESTION | members,
        headers={"Host": "llm.example"},
        timeout=PATIENCE,
    )


def heard(*answers: httpx.Response) -> list[str]:
    return [answer.headers["cache-status"] for answer in answers]


def test_answers_outlive_the_server(no_settings: None, tmp_path: Path) -> None:
    settings = CacheSettings(type="disk", disk_cache_dir=str(tmp_path / "answers"))
    with sites.cached(settings) as site:
        first = ask(site)
    with sites.cached(settings) as site:
        second, streamed = ask(site), ask(site, **USAGE)
        assert site.provider.calls == 0
    assert said(heard(first, second, streamed), MISS, HIT, HIT)
    assert second.content == first.content
    assert streamed.content.endswith(b"data: [DONE]\n\n")


def test_two_servers_share_a_directory(no_settings: None, tmp_path: Path) -> None:
    settings = CacheSettings(type="disk", disk_cache_dir=str(tmp_path))
    with sites.cached(settings) as one, sites.cached(settings) as other:
        first, second = ask(one), ask(other)
        assert other.provider.calls == 0
    assert said(heard(first, second), MISS, HIT)
    assert second.content == first.content


def test_an_unusable_directory_costs_no_request_and_few_words(
    no_settings: None, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    settings = CacheSettings(type="disk", disk_cache_dir=str(tmp_path / "file" / "answers"))
    with sites.complaining(settings) as site:
        answers = [ask(site), ask(site), ask(site, **USAGE)]
        assert site.provider.calls == 3
    assert said(heard(*answers), FAILED, FAILED, FAILED)
    warnings = site.served.complaints
    assert 1 <= len(warnings) <= 2  # reading and writing fail each for itself
    assert all("ASKONCE_DISK_CACHE_DIR" in warning for warning in warnings)
