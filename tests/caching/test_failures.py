"""A backend's failures: counted every time, logged once in a while, without secrets."""

from __future__ import annotations

import logging

import pytest

from askonce.caching._failures import LOG_SECONDS, Failures
from askonce.errors import BackendError, BackendTimeoutError


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "askonce")
    return caplog


def test_every_failure_counts_and_the_first_of_a_minute_is_logged(clock, logged) -> None:
    failures = Failures("disk", clock)
    for _ in range(5):
        failures.note("a read", BackendError("no room"))
        clock.now += LOG_SECONDS / 5 - 1
    assert failures.count == 5
    assert logged.messages == ["disk: a read failed, served uncached: no room"]
    clock.now += LOG_SECONDS
    failures.note("a read", BackendError("no room"))
    assert len(logged.messages) == 2


def test_one_failure_speaks_for_all_kinds(clock, logged) -> None:
    failures = Failures("disk", clock)
    for doing in ("a read", "a write"):
        for error in (BackendError("x"), BackendTimeoutError("x"), TimeoutError(), KeyError("x")):
            failures.note(doing, error)
    assert failures.count == 8
    assert len(logged.messages) == 1


def test_a_drivers_own_words_are_not_shown(clock, logged) -> None:
    failures = Failures("redis", clock)
    failures.note("a read", ConnectionError("redis://user:hunter2@host refused"))
    assert "hunter2" not in logged.text
    assert "ConnectionError" in logged.text


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BackendError("x"), "error"),
        (ValueError("x"), "error"),
        (TimeoutError(), "timeout"),
        (BackendTimeoutError("x"), "timeout"),
    ],
)
def test_whether_it_was_too_slow_is_told(clock, error: Exception, reason: str) -> None:
    assert Failures("disk", clock).note("a read", error).reason == reason
