"""The README's table of what a client says, form by form, against a wrapped app."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from askonce.policy import cache_object, said
from support.desk import PLAIN, Ask, Desk, saying
from support.environment import isolate
from support.readme import codes, table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


class Spoken(NamedTuple):
    """A directive as a row has it.

    Args:
        name: Its name.
        number: Its number of seconds; 0 if it has none.
        ask: A question that says it.
        never: The same question with 0 seconds.
    """

    name: str
    number: int
    ask: Ask
    never: Ask


def in_header(form: str) -> Spoken:
    return _spoken(form, saying)


def in_object(form: str) -> Spoken:
    return _spoken(form, lambda text: Ask(members={"cache": json.loads("{%s}" % text)}))  # noqa: UP031


def _spoken(form: str, asking: Callable[[str], Ask]) -> Spoken:
    number = re.search(r"(?<=[= ])\d+$", form)
    name = re.match(r'"?([\w-]+)', form)
    assert name is not None
    never = asking(form[: number.start()] + "0") if number else asking(form)
    return Spoken(name[1], int(number[0]) if number else 0, asking(form), never)


async def no_cache(said: Spoken) -> None:
    desk = Desk()
    heard = [await desk.hear(), await desk.hear(said.ask), await desk.hear(wait=1)]
    assert heard[1:] == ["askonce; fwd=request; stored", "askonce; hit; ttl=3599"]
    assert desk.app.calls == 2


async def no_store(said: Spoken) -> None:
    desk = Desk()
    heard = [await desk.hear(ask) for ask in (said.ask, PLAIN, said.ask)]
    stored = "askonce; fwd=miss; stored"
    assert heard == ["askonce; fwd=miss", stored, "askonce; hit; ttl=3600"]


async def max_age(said: Spoken) -> None:
    for age, never, expected in (
        (said.number, False, f"askonce; hit; ttl={3600 - said.number}"),
        (said.number + 1, False, "askonce; fwd=request; stored"),
        (0, True, "askonce; fwd=request; stored"),
    ):
        desk = Desk()
        await desk.ask()
        assert await desk.hear(said.never if never else said.ask, wait=age) == expected


async def min_fresh(said: Spoken) -> None:
    desk = Desk()
    await desk.ask()
    hit = await desk.hear(said.ask, wait=3600 - said.number)
    assert hit == f"askonce; hit; ttl={said.number}"
    assert await desk.hear(said.ask, wait=1) == "askonce; fwd=request; stored"


async def max_stale(said: Spoken) -> None:
    stale = f"askonce; hit; ttl=-{said.number}; detail=stale"
    for window, over, expected in ((600, 0, stale), (600, 1, "fwd=stale"), (0, 0, "fwd=miss")):
        desk = Desk(ttl=10, stale_while_revalidate=window)
        await desk.ask()
        assert expected in await desk.hear(said.ask, wait=10 + said.number + over)


async def stale_if_error(said: Spoken) -> None:
    for ask, past, expected in (
        (said.ask, said.number, "detail=stale-if-error"),
        (said.ask, said.number + 1, "askonce; fwd=stale"),
        (said.never, 1, "askonce; fwd=stale"),
    ):
        desk = Desk(ttl=10, stale_if_error=600)
        await desk.ask()
        desk.app.status = 503
        assert (await desk.hear(ask, wait=10 + past)).endswith(expected)


async def only_if_cached(said: Spoken) -> None:
    desk = Desk()
    assert (await desk.ask(said.ask)).status == 504
    await desk.ask()
    assert await desk.hear(said.ask) == "askonce; hit; ttl=3600"


async def ttl(said: Spoken) -> None:
    for operator, kept in (({}, said.number), ({"max_ttl": said.number - 1}, said.number - 1)):
        desk = Desk(**operator)
        await desk.ask(said.ask)
        assert await desk.hear() == f"askonce; hit; ttl={kept}"


async def namespace(said: Spoken) -> None:
    desk = Desk()
    heard = [await desk.hear(ask) for ask in (said.ask, PLAIN, said.ask)]
    miss = "askonce; fwd=miss; stored"
    assert heard == [miss, miss, "askonce; hit; ttl=3600"]


async def use_cache(said: Spoken) -> None:
    desk = Desk(mode="default_off")
    heard = [await desk.hear(ask) for ask in (PLAIN, said.ask, said.ask)]
    bypass, miss = "askonce; fwd=bypass; detail=default-off", "askonce; fwd=miss; stored"
    assert heard == [bypass, miss, "askonce; hit; ttl=3600"]


MEANINGS: dict[str, Callable[[Spoken], Awaitable[None]]] = {
    "no-cache": no_cache,
    "no-store": no_store,
    "max-age": max_age,
    "s-maxage": max_age,
    "s-max-age": max_age,
    "min-fresh": min_fresh,
    "max-stale": max_stale,
    "stale-if-error": stale_if_error,
    "only-if-cached": only_if_cached,
    "ttl": ttl,
    "namespace": namespace,
    "use-cache": use_cache,
}
ROWS = table("Header", "`cache` object")
SPOKEN = {
    form: speak(form)
    for row in ROWS
    for cell, speak in ((row[0], in_header), (row[1], in_object))
    for form in codes(cell)
}


def test_every_directive_there_is_has_its_place_in_the_table() -> None:
    headers = {in_header(form).name for row in ROWS for form in codes(row[0])}
    members = {in_object(form).name for row in ROWS for form in codes(row[1])}
    own = {"namespace", "use-cache"}
    assert headers == {*said.LIMITS, *said._FLAGS, *own} - {"s-max-age"}
    assert members == {*cache_object._FLAGS, *cache_object._LIMITS, "namespace"}


@pytest.mark.parametrize("form", SPOKEN)
async def test_a_directive_means_what_its_row_says(form: str) -> None:
    await MEANINGS[SPOKEN[form].name](SPOKEN[form])
