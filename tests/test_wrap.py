"""Functions behind a cache: the same answers in the same types, and the same rules as for HTTP."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Optional, TypedDict, Union

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from askonce import Cache, CacheEvent, cached, cached_call
from askonce.disabled import cache_disabled
from askonce.observe.events import Usage
from support.asgi import QUESTION, completion

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 30


class Model:
    """Answers as it is told to, and counts its calls."""

    def __init__(self, answer: Any = None) -> None:
        self.given: list[dict[str, Any]] = []
        self.answer = json.loads(completion()) if answer is None else answer
        self.thread: threading.Thread | None = None

    @property
    def calls(self) -> int:
        return len(self.given)

    def answers(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def sync(self, **kwargs: Any) -> Any:
        self.given.append(kwargs)
        self.thread = threading.current_thread()
        return self.answers()

    async def later(self, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        self.given.append(kwargs)
        return self.answers()


class Message(BaseModel):
    role: str
    content: str


class Choice(BaseModel):
    index: int
    message: Message
    finish_reason: str


class Completion(BaseModel):
    """A model of somebody's own."""

    id: str
    choices: list[Choice]
    made_by: str = Field(default="x", alias="madeBy")
    model_config = ConfigDict(frozen=True)


class Litellm(BaseModel):
    """As LiteLLM's responses are: with hidden parameters."""

    choices: list[Choice]
    _hidden_params: dict[str, Any] = PrivateAttr(default_factory=lambda: {"model_id": "7"})


COMPLETION = json.loads(completion())
PARTS = {"id": COMPLETION["id"], "choices": COMPLETION["choices"]}


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> Cache:
    return Cache(clock=clock)


# ---- async and sync


async def test_the_second_identical_call_is_answered_from_the_cache(cache: Cache) -> None:
    model = Model()
    first = await cached_call(cache, model.later, **QUESTION)
    second = await cached_call(cache, model.later, **dict(reversed(QUESTION.items())))
    assert first == second == COMPLETION
    assert second is not first
    assert (model.calls, model.given) == (1, [QUESTION])


async def test_a_sync_function_does_not_hold_the_event_loop(cache: Cache) -> None:
    model = Model()
    for _ in range(2):
        assert await cached_call(cache, model.sync, **QUESTION) == COMPLETION
    assert model.calls == 1
    assert model.thread is not threading.main_thread()


def test_a_decorated_sync_function_stays_sync(cache: Cache) -> None:
    model = Model()
    ask = cached(cache)(model.sync)
    assert ask(**QUESTION) == ask(**QUESTION) == COMPLETION
    assert model.calls == 1
    assert model.thread is threading.current_thread()


async def test_a_decorated_async_function_stays_async(cache: Cache) -> None:
    model = Model()

    @cached(cache, call_type="acompletion")
    async def ask(**kwargs: Any) -> Any:
        """Ask."""
        return await model.later(**kwargs)

    assert asyncio.iscoroutinefunction(ask)
    assert (ask.__name__, ask.__doc__) == ("ask", "Ask.")
    assert await ask(**QUESTION) == await ask(**QUESTION) == COMPLETION
    assert model.calls == 1


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


class Called:
    def __init__(self, model: Model) -> None:
        self.model = model

    async def __call__(self, **kwargs: Any) -> dict[str, Any]:
        return await self.model.later(**kwargs)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: decorated(model.later),
        lambda model: functools.partial(model.later, seed=1),
        Called,
        lambda model: lambda **kwargs: model.later(seed=1, **kwargs),
    ],
    ids=["decorated", "partial", "object", "lambda"],
)
async def test_whatever_can_be_awaited_is(cache: Cache, wrap: Any) -> None:
    model = Model()
    function = wrap(model)
    for _ in range(2):
        assert await cached_call(cache, function, **QUESTION) == COMPLETION
    assert model.calls == 1


async def test_a_text_completion_is_cached_as_one(cache: Cache) -> None:
    choice = {"index": 0, "text": " there", "finish_reason": "stop"}
    model = Model({"object": "text_completion", "choices": [choice]})
    for _ in range(2):
        await cached_call(cache, model.later, call_type="text_completion", model="m", prompt="hi")
    assert model.calls == 1


@pytest.mark.parametrize("call_type", ["embedding", "telepathy", ""])
async def test_a_call_type_that_is_not_known_is_refused_at_once(
    cache: Cache, call_type: str
) -> None:
    with pytest.raises(ValueError, match="allowed: completion, text_completion"):
        cached(cache, call_type)
    with pytest.raises(ValueError, match="allowed: completion, text_completion"):
        await cached_call(cache, Model().later, call_type=call_type)


# ---- keys, as for every other way in


async def test_a_wrapped_calls_key_is_the_caches_own(cache: Cache) -> None:
    await cached_call(cache, Model().later, **QUESTION)
    assert cache.get_cache(**QUESTION) == COMPLETION
    other = {**QUESTION, "seed": 1}
    cache.add_cache(COMPLETION, **other)
    model = Model()

    async def ask(**kwargs: Any) -> dict[str, Any]:
        return await model.later(**kwargs)

    assert await cached_call(cache, ask, **other) == COMPLETION
    assert model.calls == 0


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"seed": 1},
        {"caller": "a"},
        {"namespace": "x"},
        {"cache": {"namespace": "x"}},
    ],
    ids=repr,
)
async def test_different_calls_are_answered_apart(cache: Cache, change: dict[str, Any]) -> None:
    model = Model()
    await cached_call(cache, model.later, **QUESTION)
    for _ in range(2):
        await cached_call(cache, model.later, **{**QUESTION, **change})
    assert model.calls == 2


async def test_a_replaced_key_counts_for_wrapped_calls(cache: Cache) -> None:
    cache.get_cache_key = lambda **fields: str(fields["model"])  # type: ignore[method-assign]
    model = Model()
    await cached_call(cache, model.later, **QUESTION)
    await cached_call(cache, model.later, **QUESTION, seed=1)
    assert model.calls == 1
    ask = cached(cache)(model.sync)
    assert [ask(**QUESTION, seed=seed) for seed in range(3)] == [COMPLETION] * 3
    assert model.calls == 2


def test_arguments_by_position_and_defaults_are_a_part_of_the_question(cache: Cache) -> None:
    calls: list[tuple[Any, ...]] = []

    def ask(messages: Any, model: str = "m", seed: int | None = None, client: Any = object) -> Any:
        calls.append((messages, model, seed, client))
        return COMPLETION

    answer = cached(cache)(ask)
    messages = QUESTION["messages"]
    assert answer(messages) == answer(messages, "m") == answer(messages=messages, model="m")
    assert len(calls) == 1
    answer(messages, "n")
    answer(messages, seed=1)
    assert calls[1:] == [(messages, "n", None, object), (messages, "m", 1, object)]
    assert cache.get_cache(messages=messages, model="m") == COMPLETION


def test_two_functions_with_other_defaults_ask_other_questions(cache: Cache) -> None:
    seen: list[str] = []

    def first(messages: Any, model: str = "m") -> Any:
        seen.append(model)
        return COMPLETION

    def second(messages: Any, model: str = "n") -> Any:
        seen.append(model)
        return COMPLETION

    cached(cache)(first)(QUESTION["messages"])
    cached(cache)(second)(QUESTION["messages"])
    assert seen == ["m", "n"]


def test_arguments_that_cannot_be_named_are_not_cached(cache: Cache) -> None:
    def ask(*args: Any, **kwargs: Any) -> Any:
        return [*args, COMPLETION]

    answer = cached(cache)(ask)
    assert answer(1, **QUESTION) == [1, COMPLETION]
    assert answer(2, **QUESTION) == [2, COMPLETION]
    assert cache.stats().bypasses == 2
    # Some builtins have no signature.
    built_in = cached(cache)(dict)
    assert built_in([("a", 1)], **QUESTION) == {"a": 1, **QUESTION}
    assert built_in([("a", 2)], **QUESTION) == {"a": 2, **QUESTION}
    assert cache.stats().bypasses == 4


def test_wrong_arguments_raise_as_they_do_without_a_cache(cache: Cache) -> None:
    def ask(messages: Any) -> Any:
        return messages

    with pytest.raises(TypeError, match="argument"):
        cached(cache)(ask)(1, 2)


# ---- controls, as for every other way in


async def test_what_is_said_to_the_cache_does_not_reach_the_function(cache: Cache) -> None:
    model = Model()
    said = {"cache": {"ttl": 5}, "caller": "a", "namespace": "x"}
    await cached_call(cache, model.later, **QUESTION, **said)
    assert model.given == [QUESTION]


def test_a_function_that_names_what_is_said_to_the_cache_gets_it(cache: Cache) -> None:
    got: list[Any] = []

    def ask(model: str, messages: Any, cache: Any = None) -> Any:
        got.append(cache)
        return COMPLETION

    cached(cache)(ask)(**QUESTION, cache={"no-store": True})
    assert got == [{"no-store": True}]


async def test_a_call_may_refuse_or_forbid_or_limit(cache: Cache, clock: Clock) -> None:
    model = Model()

    async def ask(**said: Any) -> None:
        await cached_call(cache, model.later, **QUESTION, cache=said)

    await ask(**{"no-store": True})
    await ask()
    assert model.calls == 2
    await ask(**{"no-cache": True})
    assert model.calls == 3
    await ask(ttl=7, **{"no-cache": True})
    clock.now += 6
    await ask()
    assert model.calls == 4
    await ask(**{"s-maxage": 5})
    assert model.calls == 5


async def test_under_default_off_a_call_must_opt_in(clock: Clock) -> None:
    cache = Cache(mode="default_off")
    model = Model()
    for _ in range(2):
        await cached_call(cache, model.later, **QUESTION)
    for _ in range(2):
        await cached_call(cache, model.later, **QUESTION, cache={"use-cache": True})
    assert model.calls == 3


async def test_a_call_type_that_the_operator_left_out_is_not_cached() -> None:
    cache = Cache(supported_call_types=["text_completion"])
    model = Model()
    for _ in range(2):
        await cached_call(cache, model.later, **QUESTION)
    assert model.calls == 2


async def test_in_a_block_without_a_cache_a_function_is_asked(cache: Cache) -> None:
    model = Model()
    with cache_disabled():
        for _ in range(2):
            await cached_call(cache, model.later, **QUESTION)
    assert (model.calls, cache.get_cache(**QUESTION)) == (2, None)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"cache": {"tll": 5}}, ValueError),
        ({"cache": {"ttl": "soon"}}, ValueError),
        ({"cache": True}, TypeError),
        ({"caller": object()}, TypeError),
        ({"namespace": 5}, TypeError),
        ({"call_type": "completion"}, TypeError),
    ],
    ids=repr,
)
def test_what_is_wrong_is_said_and_the_function_is_not_called(
    cache: Cache, said: dict[str, Any], error: type[Exception]
) -> None:
    model = Model()
    with pytest.raises(error, match=r"tll|ttl|cache|caller|namespace|call_type"):
        cached(cache)(model.sync)(**QUESTION, **said)
    assert model.calls == 0


def test_a_function_with_a_call_type_of_its_own_is_refused(cache: Cache) -> None:
    def ask(call_type: str) -> None: ...

    with pytest.raises(ValueError, match="rename"):
        cached(cache)(ask)


@pytest.mark.parametrize(
    "change",
    [{"stream": True}, {"messages": [object()]}, {"store": True}, {"timeout": object()}],
    ids=repr,
)
async def test_what_cannot_be_cached_passes(cache: Cache, change: dict[str, Any]) -> None:
    model = Model()
    for _ in range(2):
        await cached_call(cache, model.later, **{**QUESTION, **change})
    assert model.given == [{**QUESTION, **change}] * 2
    assert cache.stats().bypasses == 2


# ---- storing, as for every other way in


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": []},
        {"error": {"message": "no"}},
        json.loads(completion(choices=[{**COMPLETION["choices"][0], "finish_reason": None}])),
        "text",
        0,
        b"bytes",
        {1: 2},
        ("a", "tuple"),
        "\ud800",
        object(),
    ],
    ids=repr,
)
async def test_an_answer_that_is_not_complete_is_not_stored(cache: Cache, answer: Any) -> None:
    model = Model(answer)
    for _ in range(2):
        assert await cached_call(cache, model.later, **QUESTION) is answer
    assert cached(cache)(model.sync)(**QUESTION) is answer
    assert (model.calls, len(cache.backend)) == (3, 0)


async def test_what_a_function_raises_is_raised_and_not_stored(cache: Cache) -> None:
    model = Model(KeyError("model"))
    for _ in range(2):
        with pytest.raises(KeyError, match="model"):
            await cached_call(cache, model.later, **QUESTION)
        with pytest.raises(KeyError, match="model"):
            cached(cache)(model.sync)(**QUESTION)
    assert model.calls == 4


async def test_a_result_that_fails_to_be_written_is_returned_all_the_same(cache: Cache) -> None:
    class Broken(Completion):
        def model_dump(self, **_: Any) -> Any:
            raise RuntimeError("no")

    broken = Broken(**PARTS)
    assert await cached_call(cache, Model(broken).later, **QUESTION) is broken


async def test_results_are_kept_in_slow_backends_too(tmp_path: Path) -> None:
    cache = Cache(type="disk", disk_cache_dir=str(tmp_path))
    model = Model()
    for _ in range(2):
        await cached_call(cache, model.later, **QUESTION)
    ask = cached(cache)(model.sync)
    for _ in range(2):
        await asyncio.to_thread(ask, **QUESTION, seed=1)
    assert model.calls == 2
    await cache.disconnect()


# ---- stale results


async def test_an_async_caller_gets_a_stale_result_and_a_fresh_one_is_fetched(clock: Clock) -> None:
    cache = Cache(ttl=10, stale_while_revalidate=100, clock=clock)
    model = Model()
    await cached_call(cache, model.later, **QUESTION)
    clock.now += 15
    model.answer = json.loads(completion("new"))
    for _ in range(2):
        assert await cached_call(cache, model.later, **QUESTION) == COMPLETION
    await _others()
    assert await cached_call(cache, model.later, **QUESTION) == model.answer
    assert model.calls == 2


async def test_a_refresh_that_fails_hurts_nobody(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(ttl=10, stale_while_revalidate=100, clock=clock)
    model = Model()
    await cached_call(cache, model.later, **QUESTION)
    clock.now += 15
    model.answer = ValueError("no")
    assert await cached_call(cache, model.later, **QUESTION) == COMPLETION
    await _others()
    assert model.calls == 2
    assert "a refresh behind a stale result failed" in caplog.text


async def _others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others)


def test_a_sync_caller_gets_a_fresh_result_instead_of_a_stale_one(clock: Clock) -> None:
    cache = Cache(ttl=10, stale_while_revalidate=100, stale_if_error=100, clock=clock)
    model = Model()
    ask = cached(cache)(model.sync)
    ask(**QUESTION)
    clock.now += 15
    model.answer = json.loads(completion("new"))
    assert ask(**QUESTION) == ask(**QUESTION) == model.answer
    assert model.calls == 2
    clock.now += 15
    model.answer = ValueError("no")
    assert ask(**QUESTION) == json.loads(completion("new"))


class StatusError(Exception):
    def __init__(self, status_code: object) -> None:
        self.status_code = status_code


@pytest.mark.parametrize(
    ("error", "stands_in"),
    [
        (ValueError("no"), True),
        (StatusError(503), True),
        (StatusError(429), True),
        (StatusError("?"), True),
        (StatusError(400), False),
        (StatusError(401), False),
    ],
    ids=repr,
)
async def test_a_stored_result_stands_in_for_a_failure(
    clock: Clock, error: Exception, stands_in: bool
) -> None:
    cache = Cache(ttl=10, stale_if_error=100, clock=clock)
    model = Model()
    await cached_call(cache, model.later, **QUESTION)
    clock.now += 15
    model.answer = error
    if stands_in:
        assert await cached_call(cache, model.later, **QUESTION) == COMPLETION
    else:
        with pytest.raises(StatusError):
            await cached_call(cache, model.later, **QUESTION)
    assert model.calls == 2


# ---- types


@pytest.mark.parametrize(
    "result",
    [
        Completion(**PARTS, madeBy="y"),
        Litellm(choices=COMPLETION["choices"]),
        ChatCompletion.model_validate(COMPLETION),
        ChatCompletion.model_construct(**COMPLETION, service_tier="unheard-of", extra={"a": 1}),
    ],
    ids=["own", "litellm", "openai", "openai-lenient"],
)
async def test_an_object_comes_back_as_the_same_type(cache: Cache, result: BaseModel) -> None:
    model = Model(result)
    await cached_call(cache, model.later, **QUESTION)
    hit = await cached_call(cache, model.later, **QUESTION)
    assert model.calls == 1
    assert hit is not result
    assert type(hit) is type(result)
    assert hit.model_dump() == result.model_dump()
    assert hit.model_dump(exclude_unset=True) == result.model_dump(exclude_unset=True)
    assert hit.choices[0].message.content == "hello"


async def test_an_object_that_would_come_back_otherwise_is_not_stored(cache: Cache) -> None:
    class Odd(Completion):
        made_by: str = Field(default="x", serialization_alias="by")

    class Strict(Completion):
        made: set[int] = {1}
        model_config = ConfigDict(strict=True)

    for odd in (Odd(**PARTS, made_by="y"), Strict(**PARTS)):
        assert await cached_call(cache, Model(odd).later, **QUESTION) is odd
    assert len(cache.backend) == 0


async def test_each_function_gets_its_own_type_back(cache: Cache) -> None:
    async def as_dict(**_: Any) -> Any:
        return COMPLETION

    async def as_object(**_: Any) -> Any:
        return Completion(**PARTS)

    for _ in range(2):
        assert type(await cached_call(cache, as_dict, **QUESTION)) is dict
        assert type(await cached_call(cache, as_object, **QUESTION)) is Completion


class Later(TypedDict):
    choices: list[Any]


NUMBERS = itertools.count()


def annotated(kind: Any, model: Model) -> Any:
    async def ask(**kwargs: Any) -> Any:
        return await model.later(**kwargs)

    ask.__annotations__["return"] = kind
    # Another code object: as in a new process, nothing is known of what it returned.
    ask.__code__ = ask.__code__.replace(co_name=f"ask_{next(NUMBERS)}")
    return ask


@pytest.mark.parametrize(
    ("result", "kind", "found"),
    [
        (COMPLETION, dict, True),
        (COMPLETION, dict[str, Any], True),
        (COMPLETION, Later, True),
        (COMPLETION, dict | None, True),
        (COMPLETION, Optional[dict], True),  # noqa: UP045 - as many write it
        (Completion(**PARTS), Union[Completion, Iterator[int]], True),  # noqa: UP007
        (Completion(**PARTS), Completion, True),
        (Completion(**PARTS), Completion | dict, True),
        (Completion(**PARTS), "Completion", True),
        (COMPLETION, Completion | dict, True),
        (COMPLETION, Any, False),
        (COMPLETION, None, False),
        (COMPLETION, Completion, False),
        (COMPLETION, "Unheard", False),
        (Completion(**PARTS), dict, False),
        (Completion(**PARTS), Litellm, False),
        (Completion(**PARTS), Any, False),
    ],
    ids=repr,
)
async def test_in_a_new_process_the_annotation_says_the_type(
    cache: Cache, result: Any, kind: Any, found: bool
) -> None:
    await cached_call(cache, annotated(Any, Model(result)), **QUESTION)
    model = Model(result)
    again = annotated(kind, model)
    for _ in range(2):
        assert type(await cached_call(cache, again, **QUESTION)) is type(result)
    assert model.calls == (0 if found else 1)


async def test_two_classes_of_one_name_are_not_taken_for_each_other(cache: Cache) -> None:
    def made() -> type[BaseModel]:
        class Twin(Completion):
            pass

        return Twin

    first, second = made(), made()
    model = Model(first(**PARTS))
    await cached_call(cache, model.later, **QUESTION)
    model.answer = second(**PARTS)
    await cached_call(cache, model.later, **QUESTION, seed=1)
    assert type(await cached_call(cache, model.later, **QUESTION, seed=1)) is second
    assert model.calls == 3


async def test_what_was_stored_by_hand_comes_back_as_the_only_type_there_is(cache: Cache) -> None:
    cache.add_cache(Completion(**PARTS), **QUESTION)

    async def ask(**_: Any) -> Completion:
        raise AssertionError("it is stored")

    assert type(await cached_call(cache, ask, **QUESTION)) is Completion
    cache.add_cache({"no": "completion"}, **QUESTION)
    with pytest.raises(AssertionError):
        await cached_call(cache, ask, **QUESTION)


@pytest.mark.parametrize(
    ("annotation", "known"),
    [
        (Completion, True),
        (Awaitable[Completion], True),
        (Coroutine[int, int, Completion], True),
        (Completion | AsyncIterator[int], True),
        (AsyncIterator[Completion], False),
        (list[Completion], False),
        (type[Completion], False),
        (Callable[[], Completion], False),
        (Iterator[Completion], False),
    ],
    ids=repr,
)
def test_an_annotation_may_say_what_is_awaited_but_not_what_is_in_a_stream(
    cache: Cache, annotation: Any, known: bool
) -> None:
    cache.add_cache(Completion(**PARTS), **QUESTION)
    model = Model(Completion(**PARTS))

    def ask(**kwargs: Any) -> Any:
        return model.sync(**kwargs)

    ask.__annotations__["return"] = annotation
    ask.__code__ = ask.__code__.replace(co_name=f"ask_{next(NUMBERS)}")
    cached(cache)(ask)(**QUESTION)
    assert model.calls == (0 if known else 1)


def as_dict(**_: Any) -> Any:
    return COMPLETION


def as_object(**_: Any) -> Any:
    return Completion(**PARTS)


def silently_decorated(function: Any) -> Any:
    def inner(**kwargs: Any) -> Any:
        return function(**kwargs)

    return inner


def made(kind: Any, **_: Any) -> Any:
    return kind(**PARTS)


def made_by_closure(kind: Any) -> Any:
    return lambda **_: kind(**PARTS)


def made_by_default(kind: Any) -> Any:
    def ask(kind: Any = kind, **_: Any) -> Any:
        return kind(**PARTS)

    return ask


def made_by_keyword(kind: Any) -> Any:
    def ask(*, kind: Any = kind, **_: Any) -> Any:
        return kind(**PARTS)

    return ask


class Maker:
    kind: Any = dict

    def ask(self, **_: Any) -> Any:
        return self.kind(**PARTS)

    @classmethod
    def ask_class(cls, **_: Any) -> Any:
        return cls.kind(**PARTS)

    def __call__(self, **_: Any) -> Any:
        return self.kind(**PARTS)


class ObjectMaker(Maker):
    kind = Completion


def as_either(wrap: Any) -> Any:
    return wrap(as_dict), wrap(as_object)


def dumped(function: Any) -> Any:
    @functools.wraps(function)
    def inner(**kwargs: Any) -> Any:
        return json.loads(function(**kwargs).model_dump_json(by_alias=True))

    return inner


@pytest.mark.parametrize(
    ("first", "second"),
    [
        as_either(decorated),
        as_either(lambda function: decorated(decorated(function))),
        as_either(silently_decorated),
        as_either(lambda function: silently_decorated(silently_decorated(function))),
        as_either(functools.partial),
        as_either(lambda function: functools.partial(decorated(function), seed=1)),
        (dumped(as_object), decorated(as_object)),
        (functools.partial(made, dict), functools.partial(made, Completion)),
        (functools.partial(made, kind=dict), functools.partial(made, kind=Completion)),
        (made_by_closure(dict), made_by_closure(Completion)),
        (made_by_default(dict), made_by_default(Completion)),
        (made_by_keyword(dict), made_by_keyword(Completion)),
        (Maker().ask, ObjectMaker().ask),
        (Maker.ask_class, ObjectMaker.ask_class),
        (Maker(), ObjectMaker()),
    ],
)
def test_functions_that_share_their_code_do_not_share_their_types(
    cache: Cache, first: Any, second: Any
) -> None:
    for _ in range(2):
        for function, kind in ((first, dict), (second, Completion)):
            assert type(cached(cache)(function)(**QUESTION)) is kind


@pytest.mark.parametrize(
    "made_anew",
    [
        lambda model: lambda **kwargs: model.sync(seed=1, **kwargs),
        lambda model: decorated(model.sync),
        lambda model: functools.partial(model.sync, seed=1),
        lambda model: functools.partial(decorated(model.sync)),
    ],
    ids=["lambda", "decorated", "partial", "both"],
)
async def test_a_function_that_is_made_anew_with_each_call_is_known(
    cache: Cache, made_anew: Any
) -> None:
    model = Model()
    for _ in range(2):
        assert await cached_call(cache, made_anew(model), **QUESTION) == COMPLETION
    assert model.calls == 1


def test_a_function_with_too_many_parts_is_like_no_other(cache: Cache) -> None:
    calls: list[int] = []

    def ask(**_: Any) -> Any:
        calls.append(1)
        return COMPLETION

    many = functools.reduce(lambda function, _: decorated(function), range(99), ask)
    for _ in range(2):
        cached(cache)(many)(**QUESTION)
    assert len(calls) == 2


def test_a_function_may_refer_to_itself_and_to_what_is_not_there_yet(cache: Cache) -> None:
    def ask(**_: Any) -> Any:
        return later if ask else None

    early = cached(cache)(ask)
    later = COMPLETION
    for answer in (early, cached(cache)(ask)):
        assert answer(**QUESTION) == answer(**QUESTION) == COMPLETION


async def test_a_result_that_cannot_be_read_in_its_type_counts_as_a_miss(cache: Cache) -> None:
    for function in (as_object, as_dict):
        cached(cache)(function)(**QUESTION)
        await cached_call(cache, function, **QUESTION, seed=1)
    assert (cache.stats().hits, cache.stats().misses) == (0, 4)
    cached(cache)(as_dict)(**QUESTION)
    await cached_call(cache, as_dict, **QUESTION, seed=1)
    assert (cache.stats().hits, cache.stats().misses) == (2, 4)


# ---- StopIteration, which neither generators nor futures let pass


def test_a_sync_function_may_raise_stop_iteration(cache: Cache) -> None:
    def ask(**_: Any) -> Any:
        return next(iter(()))

    with pytest.raises(StopIteration):
        cached(cache)(ask)(**QUESTION)
    assert len(cache.backend) == 0


@pytest.mark.parametrize("is_async", [False, True])
async def test_what_is_awaited_raises_an_error_from_stop_iteration(
    cache: Cache, is_async: bool
) -> None:
    def ask(**_: Any) -> Any:
        return next(iter(()))

    if is_async:
        ask.__wrapped__ = Model().later  # type: ignore[attr-defined]
    async with asyncio.timeout(SECONDS):
        with pytest.raises(RuntimeError, match="the wrapped function raised") as raised:
            await cached_call(cache, ask, **QUESTION)
    assert isinstance(raised.value.__cause__, StopIteration)


# ---- marks


@pytest.mark.parametrize("kind", [Litellm, ChatCompletion])
async def test_an_object_is_marked_where_litellms_users_look(cache: Cache, kind: Any) -> None:
    model = Model(kind.model_validate(COMPLETION))
    miss = await cached_call(cache, model.later, **QUESTION)
    hit = await cached_call(cache, model.later, **QUESTION)
    assert miss._hidden_params["cache_hit"] is False
    assert hit._hidden_params["cache_hit"] is True
    key = cache.get_cache_key(**QUESTION)
    assert hit._hidden_params["cache_key"] == miss._hidden_params["cache_key"] == key
    assert "cache_hit" not in json.dumps(hit.model_dump(mode="json"))
    if kind is Litellm:
        assert hit._hidden_params["model_id"] == "7"


@pytest.mark.parametrize("asked_for", [False, True])
async def test_a_dict_is_marked_if_the_operator_asks_for_it(asked_for: bool) -> None:
    cache = Cache(mark_hits=asked_for)
    model = Model()
    first = await cached_call(cache, model.later, **QUESTION)
    second = await cached_call(cache, model.later, **QUESTION)
    assert "cache" not in first
    assert second == (COMPLETION | {"cache": True} if asked_for else COMPLETION)
    assert cache.get_cache(**QUESTION) == COMPLETION


# ---- events


async def _told(cache: Cache, heard: list[CacheEvent]) -> list[CacheEvent]:
    assert cache.events is not None
    await cache.events.drain()
    events, heard[:] = list(heard), []
    return events


async def test_every_call_ends_in_one_event(clock: Clock) -> None:
    cache = Cache(ttl=10, stale_while_revalidate=100, stale_if_error=100, clock=clock)
    heard: list[CacheEvent] = []
    cache.subscribe(heard.append)
    model = Model()

    async def ask(**change: Any) -> CacheEvent:
        await cached_call(cache, model.later, **{**QUESTION, **change})
        (event,) = await _told(cache, heard)
        return event

    miss, hit, bypass = await ask(), await ask(), await ask(store=True)
    assert (miss.outcome, miss.forwarded, miss.stored, miss.ttl) == ("miss", "miss", True, 10)
    assert (hit.outcome, hit.age, hit.ttl, hit.usage) == ("hit", 0, 10, Usage(1, 1, 2))
    assert (miss.status, miss.model, miss.key) == (None, "m", hit.key)
    assert miss.bytes == hit.bytes > 0
    assert (bypass.outcome, bypass.reason) == ("bypass", "store")
    clock.now += 15
    stale = await ask()
    assert (stale.outcome, stale.age, stale.ttl) == ("stale", 15, -5)
    await _others()
    model.answer = object()
    unstored = await ask(cache={"no-cache": True})
    assert (unstored.outcome, unstored.stored, unstored.reason) == ("miss", False, "result-type")
    model.answer = {"choices": []}
    unstored = await ask(cache={"no-cache": True})
    assert (unstored.forwarded, unstored.reason) == ("request", "choices")
    silent = await ask(cache={"no-cache": True, "no-store": True})
    assert (silent.reason, silent.key) == ("no-store", None)


def test_a_sync_call_ends_in_one_event_too(clock: Clock) -> None:
    cache = Cache(ttl=10, stale_while_revalidate=100, clock=clock)
    heard: list[CacheEvent] = []
    cache.subscribe(heard.append)
    model = Model()
    ask = cached(cache)(model.sync)
    ask(**QUESTION)
    ask(**QUESTION)
    clock.now += 15
    ask(**QUESTION)
    events = asyncio.run(_told(cache, heard))
    assert [(event.outcome, event.forwarded) for event in events] == [
        ("miss", "miss"),
        ("hit", None),
        ("miss", "stale"),
    ]
    assert [event.age for event in events] == [None, 0, None]
    assert [event.stored for event in events] == [True, False, True]


async def test_a_call_that_fails_ends_in_one_event(clock: Clock) -> None:
    cache = Cache(ttl=10, stale_if_error=100, clock=clock)
    heard: list[CacheEvent] = []
    cache.subscribe(heard.append)
    model = Model(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await cached_call(cache, model.later, **QUESTION)
    with pytest.raises(ValueError, match="tll"):
        await cached_call(cache, model.later, **QUESTION, cache={"tll": 1})
    failed, invalid = await _told(cache, heard)
    assert (failed.outcome, failed.reason, failed.stored) == ("miss", "exception", False)
    assert (invalid.outcome, invalid.reason) == ("invalid", "invalid-cache-control")
    model.answer = COMPLETION
    await cached_call(cache, model.later, **QUESTION)
    clock.now += 15
    model.answer = StatusError(503)
    await cached_call(cache, model.later, **QUESTION)
    _, stood_in = await _told(cache, heard)
    assert (stood_in.outcome, stood_in.reason) == ("stale-if-error", "503")


async def test_a_call_that_is_cancelled_ends_in_one_event(cache: Cache) -> None:
    heard: list[CacheEvent] = []
    cache.subscribe(heard.append)
    begun = asyncio.Event()

    async def ask(**_: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    calling = asyncio.create_task(cached_call(cache, ask, **QUESTION))
    await begun.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    (event,) = await _told(cache, heard)
    assert (event.outcome, event.reason) == ("miss", "cancelled")


async def test_a_backend_that_fails_to_write_is_told(tmp_path: Path) -> None:
    from askonce.caching.disk_cache import DiskCache
    from askonce.errors import BackendError

    class Broken(DiskCache):
        def set_entry(self, entry: Any, retention: float) -> None:
            raise BackendError("no write")

        async def async_set_entry(self, entry: Any, retention: float) -> None:
            raise BackendError("no write")

    cache = Cache(backend=Broken(str(tmp_path)))
    heard: list[CacheEvent] = []
    cache.subscribe(heard.append)
    await cached_call(cache, Model().later, **QUESTION)
    await asyncio.to_thread(cached(cache)(Model().sync), **QUESTION)
    events = await _told(cache, heard)
    assert [(event.stored, event.reason) for event in events] == [(False, "backend-error")] * 2
    await cache.backend.disconnect()


# ---- a real client


def test_openais_methods_find_after_a_restart_what_they_are_annotated_with(cache: Cache) -> None:
    cache.add_cache(ChatCompletion.model_validate(COMPLETION), **QUESTION)
    with OpenAI(base_url="http://127.0.0.1:1", api_key="k", max_retries=0) as client:
        cached(cache, "text_completion")(client.completions.create)  # of the same code, outside
        found = cached(cache)(client.chat.completions.create)(**QUESTION)
    assert type(found) is ChatCompletion


@pytest.fixture
def provider() -> Iterator[Any]:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            server.calls += 1
            body = completion()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        calls = 0

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def test_openais_clients_are_wrapped_as_they_are(cache: Cache, provider: Any) -> None:
    url = f"http://127.0.0.1:{provider.server_port}/v1"
    async with AsyncOpenAI(base_url=url, api_key="k") as client:
        create = client.chat.completions.create
        first = await cached_call(cache, create, **QUESTION)
        second = await cached_call(cache, client.chat.completions.create, **QUESTION)
    assert (type(second), second) == (ChatCompletion, first)
    assert second._hidden_params["cache_hit"] is True
    with OpenAI(base_url=url, api_key="k") as sync_client:
        ask = cached(cache)(sync_client.chat.completions.create)
        third = await asyncio.to_thread(ask, **QUESTION)
    assert (type(third), third.to_json()) == (ChatCompletion, first.to_json())
    assert provider.calls == 1


async def test_a_stream_passes(cache: Cache) -> None:
    async def ask(**_: Any) -> AsyncIterator[int]:
        async def stream() -> AsyncIterator[int]:
            yield 1
            yield 2

        return stream()

    for _ in range(2):
        stream = await cached_call(cache, ask, **QUESTION, stream=True)
        assert [number async for number in stream] == [1, 2]
