"""What follows from settings together: the ttl and the timeout in effect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from askonce import settings as module
from askonce._settings import values
from askonce.settings import CacheSettings
from support.environment import isolate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture
def _all_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a version that has every backend."""
    monkeypatch.setattr(values, "RESERVED", ())


BOTH = {"default_in_memory_ttl": 7, "default_in_redis_ttl": 9}
TTLS: list[tuple[dict[str, Any], float]] = [
    ({}, 3600),
    ({"type": "local", **BOTH}, 7),
    ({"type": "disk", **BOTH}, 3600),
    ({"type": "s3", **BOTH}, 3600),
    ({"type": "redis", **BOTH}, 9),
    ({"type": "dual", **BOTH}, 9),
    ({"type": "redis-semantic", **BOTH}, 9),
    ({"type": "redis", "default_in_memory_ttl": 7}, 3600),
    ({"type": "local", "default_in_memory_ttl": 0}, 0),
    ({"type": "local", "ttl": 3600, **BOTH}, 3600),
    ({"type": "local", "ttl": 0, **BOTH}, 0),
    ({"type": "redis", "ttl": 5, **BOTH}, 5),
    ({"max_ttl": 60}, 60),
    ({"ttl": 100, "max_ttl": 60}, 60),
    ({"ttl": 30, "max_ttl": 60}, 30),
    ({"default_in_memory_ttl": 100, "max_ttl": 60}, 60),
    ({"max_ttl": 0}, 0),
]
TIMEOUTS: list[tuple[dict[str, Any], float | None]] = [
    ({}, None),
    ({"type": "disk"}, 0.25),
    ({"type": "redis"}, 0.05),
    ({"type": "dual"}, 0.05),
    ({"type": "s3"}, 1),
    ({"type": "disk", "backend_timeout": 2}, 2),
    ({"type": "local", "backend_timeout": 0}, 0),
]


@pytest.mark.usefixtures("_all_types")
@pytest.mark.parametrize(("arguments", "expected"), TTLS)
def test_the_ttl_in_effect(arguments: dict[str, Any], expected: float) -> None:
    assert CacheSettings(**arguments).effective_ttl == expected


@pytest.mark.usefixtures("_all_types")
@pytest.mark.parametrize(("arguments", "expected"), TIMEOUTS)
def test_the_backend_timeout_in_effect(arguments: dict[str, Any], expected: float | None) -> None:
    assert CacheSettings(**arguments).effective_backend_timeout == expected


def test_the_documented_timeouts_are_the_ones_in_effect() -> None:
    text = CacheSettings.model_fields["backend_timeout"].description or ""
    for backend in values.here("type"):
        timeout = module._BACKEND_TIMEOUT.get(backend)
        said = "none" if timeout is None else f"{timeout:g}"
        assert re.search(rf"{said} for (`\w+` and )?`{backend}`", text)


@pytest.mark.usefixtures("_all_types")
def test_a_version_that_has_everything_refuses_nothing() -> None:
    settings = CacheSettings(
        type="dual",
        coalesce="shared",
        supported_call_types=["embedding"],
        routes={"/e": "aembedding"},
        admin_token="t",
        log_content=True,
    )
    assert settings.routes == {"/e": "embedding"}
