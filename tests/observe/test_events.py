"""Those who hear events: in order, off the loop, and of no harm to anybody."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from askonce import Cache, CacheEvent
from askonce.observe import hub, loggers, subscribers
from askonce.observe.events import Outcome, Usage
from askonce.observe.hub import Events
from askonce.observe.usage import usage_of

SECONDS = 30


def event(number: int = 0, outcome: Outcome = "hit", **members: Any) -> CacheEvent:
    known: dict[str, Any] = {
        "time": 1_000_000.0 + number,
        "call_type": "completion",
        "model": "m",
        "namespace": "askonce",
        "outcome": outcome,
        "key": "askonce:00",
        "duration": 0.5,
        "bytes": 10,
        "status": 200,
        "usage": Usage(1, 2, 3),
    }
    return CacheEvent(**known | members)


@pytest.fixture
def events() -> Events:
    return Events("askonce", lambda: 0.0)


# ---- order and place


async def test_a_sync_subscriber_hears_everything_in_order_and_off_the_loop(events: Events) -> None:
    heard: list[tuple[CacheEvent, int]] = []
    events.add(lambda told: heard.append((told, threading.get_ident())))
    for number in range(100):
        events.publish(event(number))
    await events.drain()
    assert [told for told, _ in heard] == [event(number) for number in range(100)]
    assert threading.get_ident() not in {thread for _, thread in heard}


async def test_an_async_subscriber_hears_everything_in_order_in_the_loop(events: Events) -> None:
    heard: list[tuple[CacheEvent, object]] = []

    async def hear(told: CacheEvent) -> None:
        await asyncio.sleep(0)
        heard.append((told, asyncio.get_running_loop()))

    events.add(hear)
    for number in range(100):
        events.publish(event(number))
    await events.drain()
    assert heard == [(event(number), asyncio.get_running_loop()) for number in range(100)]


def test_an_async_subscriber_hears_of_calls_outside_of_any_loop(events: Events) -> None:
    heard: list[CacheEvent] = []

    async def hear(told: CacheEvent) -> None:
        await asyncio.sleep(0)
        heard.append(told)

    events.add(hear)
    for number in range(3):
        events.publish(event(number))
    asyncio.run(events.drain())
    assert heard == [event(0), event(1), event(2)]


class Callable:
    def __init__(self) -> None:
        self.heard: list[CacheEvent] = []

    async def __call__(self, told: CacheEvent) -> None:
        self.heard.append(told)


async def test_an_object_with_an_async_call_is_awaited(events: Events) -> None:
    subscriber = Callable()
    events.add(subscriber)
    events.publish(event())
    await events.drain()
    assert subscriber.heard == [event()]


async def test_whatever_a_sync_function_returns_is_awaited_if_it_can_be(events: Events) -> None:
    heard: list[CacheEvent] = []

    async def hear(told: CacheEvent, into: list[CacheEvent]) -> None:
        into.append(told)

    events.add(lambda told: hear(told, heard))
    events.add(functools.partial(hear, into=heard))
    events.publish(event())
    await events.drain()
    assert heard == [event(), event()]


async def test_a_subscriber_is_no_part_of_the_request_that_it_hears_of(events: Events) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    heard: list[str] = []

    async def hear(told: CacheEvent) -> None:
        heard.append(variable.get())

    events.add(hear)
    variable.set("a request's")
    events.publish(event())
    await events.drain()
    assert heard == ["none"]


# ---- failures


async def test_a_subscriber_that_raises_loses_that_event_alone(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[CacheEvent] = []
    also: list[CacheEvent] = []

    def hear(told: CacheEvent) -> None:
        if told == event(1):
            raise ValueError("one")
        heard.append(told)

    async def hear_too(told: CacheEvent) -> None:
        if told == event(1):
            raise ValueError("one")
        also.append(told)

    events.add(hear)
    events.add(hear_too)
    for number in range(3):
        events.publish(event(number))
    await events.drain()
    assert heard == also == [event(0), event(2)]
    assert {record.getMessage().rpartition(", ")[2] for record in caplog.records} == {"failed"}


class Later:
    """A subscriber of which only its result shows that it is async."""

    def __init__(self, hear: Any) -> None:
        self._hear = hear

    def __call__(self, told: CacheEvent) -> Any:
        return self._hear(told)


@pytest.mark.parametrize("kind", ["sync", "async", "async result"])
@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, GeneratorExit])
async def test_whatever_a_subscriber_raises_ends_nothing(
    events: Events, kind: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[CacheEvent] = []
    threads: set[int] = set()

    def hear(told: CacheEvent) -> None:
        heard.append(told)
        threads.add(threading.get_ident())
        raise error

    async def hear_async(told: CacheEvent) -> None:
        await asyncio.sleep(0)
        hear(told)

    kinds = {"sync": hear, "async": hear_async, "async result": Later(hear_async)}
    events.add(kinds[kind])
    for number in range(3):
        events.publish(event(number))
    await events.drain()
    assert all(box.wait(0) for box in events._mailboxes)
    assert heard == [event(0), event(1), event(2)]
    assert len(threads) == 1
    assert [record.getMessage().rpartition(", ")[2] for record in caplog.records] == ["failed"]


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, GeneratorExit])
def test_whatever_a_subscriber_raises_outside_of_any_loop_ends_nothing(
    events: Events, error: type[BaseException]
) -> None:
    heard: list[CacheEvent] = []

    async def hear(told: CacheEvent) -> None:
        heard.append(told)
        raise error

    events.add(hear)
    for number in range(3):
        events.publish(event(number))
    asyncio.run(events.drain())
    assert heard == [event(0), event(1), event(2)]


def test_an_interrupt_reaches_the_loop_and_the_next_event_a_new_one(events: Events) -> None:
    heard: list[CacheEvent] = []

    async def hear(told: CacheEvent) -> None:
        heard.append(told)
        if told == event(0):
            raise KeyboardInterrupt

    async def main(number: int) -> None:
        events.publish(event(number))
        await events.drain()

    events.add(hear)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main(0))
    [box] = events._mailboxes
    assert isinstance(box, subscribers.TaskMailbox)
    assert box._task is not None
    assert isinstance(box._task.exception(), KeyboardInterrupt)
    asyncio.run(main(1))
    assert heard == [event(0), event(1)]


async def test_failures_are_logged_once_in_a_while(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(told: CacheEvent) -> None:
        raise ValueError("always")

    events.add(fail)
    for number in range(10):
        events.publish(event(number))
    await events.drain()
    assert len(caplog.records) == 1


async def test_what_a_slow_subscriber_cannot_take_is_dropped_counted_and_logged(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    gate, begun = threading.Event(), threading.Event()
    heard: list[CacheEvent] = []

    def hear(told: CacheEvent) -> None:
        begun.set()
        gate.wait(SECONDS)
        heard.append(told)

    events.add(hear)
    events.publish(event(0))
    assert await asyncio.to_thread(begun.wait, SECONDS)
    for number in range(1, subscribers.QUEUED + 6):
        events.publish(event(number))
    assert events.dropped == 5
    gate.set()
    await events.drain()
    assert heard == [event(number) for number in range(subscribers.QUEUED + 1)]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "too slow" in caplog.text


async def test_a_slow_subscriber_does_not_hold_up_another(events: Events) -> None:
    gate, heard = threading.Event(), threading.Event()
    events.add(lambda told: gate.wait(SECONDS))
    events.add(lambda told: heard.set())
    events.publish(event())
    assert await asyncio.to_thread(heard.wait, SECONDS)
    gate.set()
    await events.drain()


async def test_a_stuck_subscriber_does_not_hold_up_the_end(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "DRAIN_SECONDS", 0.01)
    gate = threading.Event()
    events.add(lambda told: gate.wait(SECONDS))
    events.publish(event())
    await events.drain()
    gate.set()


# ---- ends


async def test_who_unsubscribed_hears_no_more(events: Events) -> None:
    heard: list[CacheEvent] = []
    remove = events.add(heard.append)
    events.publish(event(0))
    await events.drain()
    assert len(events) == 1
    remove()
    remove()
    events.publish(event(1))
    await events.drain()
    assert (heard, len(events)) == ([event(0)], 0)


async def test_what_waits_for_who_unsubscribed_is_not_delivered(events: Events) -> None:
    gate, begun = threading.Event(), threading.Event()
    heard: list[CacheEvent] = []

    def hear(told: CacheEvent) -> None:
        begun.set()
        gate.wait(SECONDS)
        heard.append(told)

    remove = events.add(hear)
    box = events._mailboxes[0]
    events.publish(event(0))
    assert await asyncio.to_thread(begun.wait, SECONDS)
    events.publish(event(1))
    remove()
    box.put(event(2))
    gate.set()
    assert await asyncio.to_thread(box.wait, SECONDS)
    assert heard == [event(0)]


async def test_a_thread_ends_when_nothing_happens_and_another_begins(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribers, "LINGER_SECONDS", 0.0)
    threads: list[threading.Thread] = []
    events.add(lambda told: threads.append(threading.current_thread()))
    for number in range(2):
        events.publish(event(number))
        await events.drain()
        await asyncio.to_thread(threads[number].join, SECONDS)
    assert [thread.is_alive() for thread in threads] == [False, False]
    assert threads[0] is not threads[1]


def test_a_thread_that_a_fork_left_behind_is_replaced(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[CacheEvent] = []
    events.add(heard.append)
    box = events._mailboxes[0]
    assert isinstance(box, subscribers.ThreadMailbox)
    # As a forked child finds it: somebody is at work, in a thread that is not there.
    box._at_work, box._thread = True, threading.Thread()
    events.publish(event())
    assert box.wait(SECONDS)
    assert heard == [event()]


def test_an_async_subscriber_survives_the_end_of_its_loop(events: Events) -> None:
    heard: list[CacheEvent] = []
    stuck = True

    async def hear(told: CacheEvent) -> None:
        if stuck:
            await asyncio.Event().wait()
        heard.append(told)

    async def publish(number: int) -> None:
        events.publish(event(number))
        await asyncio.sleep(0)

    events.add(hear)
    asyncio.run(publish(0))
    stuck = False

    async def publish_and_drain() -> None:
        await publish(1)
        await events.drain()

    asyncio.run(publish_and_drain())
    assert heard == [event(1)]


@pytest.mark.parametrize("subscriber", [None, 5, object(), "print"])
def test_what_hears_nothing_is_refused_in_words(subscriber: Any) -> None:
    with pytest.raises(TypeError, match="log_success_event"):
        Cache().subscribe(subscriber)


async def test_a_cache_tells_everyone_before_it_is_closed() -> None:
    cache = Cache()
    heard: list[CacheEvent] = []
    first, second = cache.subscribe(heard.append), cache.subscribe(heard.append)
    assert cache.events is not None
    cache.events.publish(event())
    await cache.disconnect()
    assert heard == [event(), event()]
    first()
    assert cache.events is not None
    second()
    assert cache.events is None


# ---- logger objects


class Base:
    """Has every method, as LiteLLM's CustomLogger has."""

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        raise AssertionError("overridden")

    def log_failure_event(self, kwargs, response_obj, start_time, end_time):
        pass

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        raise AssertionError("overridden")

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        pass


class SyncLogger(Base):
    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.heard.append(("success", kwargs))

    def log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self.heard.append(("failure", kwargs))


class AsyncLogger(Base):
    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        raise AssertionError("there is an async one")

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.heard.append(("success", kwargs))

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self.heard.append(("failure", kwargs))


class MixedLogger(Base):
    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.heard.append(("success", kwargs))

    def log_failure_event(self, kwargs, response_obj, start_time, end_time):
        assert threading.current_thread() is not threading.main_thread()
        self.heard.append(("failure", kwargs))


class SuccessLogger:
    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.log_success_event = self._hear  # found on the object itself

    def _hear(self, kwargs, response_obj, start_time, end_time):
        self.heard.append(("success", kwargs))


@pytest.mark.parametrize("kind", [SyncLogger, AsyncLogger, MixedLogger])
async def test_a_logger_object_hears_of_answers_and_failures(events: Events, kind: Any) -> None:
    logger = kind()
    events.add(logger)
    events.publish(event(0))
    events.publish(event(1, "miss", status=503))
    await events.drain()
    assert [name for name, _ in logger.heard] == ["success", "failure"]
    assert logger.heard[0][1]["cache_hit"] is True
    assert logger.heard[1][1]["cache_hit"] is False


async def test_a_logger_object_may_hear_of_answers_alone(events: Events) -> None:
    logger = SuccessLogger()
    events.add(logger)
    events.publish(event(0))
    events.publish(event(1, status=500))
    await events.drain()
    assert [kwargs["askonce_event"] for _, kwargs in logger.heard] == [event(0)]


async def test_an_async_logger_object_may_hear_of_answers_alone(events: Events) -> None:
    class Logger:
        def __init__(self) -> None:
            self.heard: list[object] = []

        async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
            self.heard.append(kwargs["askonce_event"])

    logger = Logger()
    events.add(logger)
    events.publish(event(0, status=500))
    events.publish(event(1))
    await events.drain()
    assert logger.heard == [event(1)]


def test_a_logger_object_gets_what_it_looks_for_and_no_contents() -> None:
    kwargs, response, start, end = loggers.arguments(event(0, model="gpt"))
    assert (kwargs["model"], kwargs["call_type"]) == ("gpt", "completion")
    assert (kwargs["cache_hit"], kwargs["cache_key"]) == (True, "askonce:00")
    assert kwargs["response_cost"] == 0.0
    assert (kwargs["messages"], response["choices"]) == ([], [])
    assert response.usage.prompt_tokens == response["usage"]["prompt_tokens"] == 1
    assert response.get("usage").total_tokens == 3
    standard = kwargs["standard_logging_object"]
    assert (standard["cache_hit"], standard["status"]) == (True, "success")
    assert (standard["total_tokens"], standard["response_time"]) == (3, 0.5)
    assert (end - start).total_seconds() == 0.5
    assert end.tzinfo is None
    assert end.astimezone(UTC) == datetime.fromtimestamp(1_000_000, tz=UTC)
    with pytest.raises(AttributeError, match="id"):
        _ = response.id


def test_an_answer_that_says_no_usage_counts_none() -> None:
    kwargs, response, _, _ = loggers.arguments(event(outcome="miss", usage=None))
    assert dict(response.usage) == {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
    }
    assert kwargs["response_cost"] is None


@pytest.mark.parametrize(
    ("told", "succeeds"),
    [
        (event(), True),
        (event(outcome="stale"), True),
        (event(outcome="stale-if-error", reason="503"), True),
        (event(outcome="stale-if-error", reason="exception"), True),
        (event(outcome="miss", reason="finish-reason"), True),
        (event(outcome="miss", status=None), True),
        (event(outcome="bypass", reason="store"), True),
        (event(outcome="bypass", status=429), False),
        (event(outcome="miss", status=500, reason="status"), False),
        (event(outcome="miss", reason="exception"), False),
        (event(outcome="miss", reason="client-gone"), False),
        (event(outcome="refused", status=504), False),
        (event(outcome="invalid", status=400), False),
        (event(outcome="gone", status=None), False),
    ],
    ids=lambda value: f"{value.outcome}-{value.reason}" if isinstance(value, CacheEvent) else "",
)
def test_a_success_is_an_answer_that_came(told: CacheEvent, succeeds: bool) -> None:
    assert loggers.succeeded(told) is succeeds


# ---- usage


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (
            b'{"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}',
            Usage(1, 2, 3),
        ),
        (b'{"usage": {"input_tokens": 1, "output_tokens": 2}}', Usage(1, 2, None)),
        (b'{"usage": {"total_tokens": 3, "prompt_tokens": "x"}}', Usage(None, None, 3)),
        (b'{"usage": {"total_tokens": true, "prompt_tokens": -1}}', None),
        (b'{"usage": {}}', None),
        (b'{"usage": null}', None),
        (b'{"usage": 5}', None),
        (b'{"choices": [{"usage": {"total_tokens": 3}}]}', None),
        (b"[]", None),
        (b"", None),
        (b"not JSON", None),
        (b"\xff", None),
    ],
)
def test_a_plain_answer_says_its_usage_at_its_top(body: bytes, usage: Usage | None) -> None:
    assert usage_of(body, "plain") == usage


LAST = b'data: {"choices": [], "usage": {"prompt_tokens": 1, "total_tokens": 3}}\n\n'


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'data: {"usage": null}\n\n' + LAST + b"data: [DONE]\n\n", Usage(1, None, 3)),
        (LAST.replace(b"\n", b"\r\n") + b"data: [DONE]\r\n\r\n", Usage(1, None, 3)),
        (LAST.replace(b"data: ", b"data:"), Usage(1, None, 3)),
        (LAST + b'data: {"x_groq": {"usage": {"total_tokens": 9}}}\n\n', Usage(1, None, 3)),
        (LAST + b'data: {"usage": null}\n\n' * 20, None),
        (b"data: [DONE]\n\n", None),
        (b"", None),
    ],
    ids=["last", "crlf", "no-space", "elsewhere", "far-back", "none", "empty"],
)
def test_a_stream_says_its_usage_in_one_of_its_last_events(
    body: bytes, usage: Usage | None
) -> None:
    assert usage_of(body, "stream") == usage
