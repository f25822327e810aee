"""What objects hold and say, and which of them are held in memory."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.caching._s3_held import Held, HeldObjects
from askonce.caching._s3_objects import (
    HEAD_BYTES,
    Content,
    headers,
    over_at,
    pack,
    read_over,
    unpack,
)

CONTENTS = st.builds(
    Content,
    st.text(st.characters()),
    st.binary(),
    st.floats(allow_nan=False),
    st.binary(min_size=8, max_size=8),
)
NAMED = "ns/0f.askonce"


@given(CONTENTS)
def test_an_object_comes_back_equal(content: Content) -> None:
    body = pack(content)
    assert unpack(body) == content
    assert read_over(body[:HEAD_BYTES]) == content.over


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"AOS1",
        b"5",
        b'{"id": "chatcmpl-1", "object": "chat.completion"}',
        b"AOS2" + pack(Content("k", b"x"))[4:],
        pack(Content("k", b"x", math.nan)),
        pack(Content("k", b"x")).replace(b"kx", b"\xff"),
    ],
)
def test_what_is_not_ours_is_not_read(body: bytes) -> None:
    assert unpack(body) is None


def test_the_same_bytes_with_another_end_are_another_object() -> None:
    assert pack(Content("k", b"x", 1.0)) != pack(Content("k", b"x", 2.0))


@pytest.mark.parametrize(
    ("retention", "age", "expires"),
    [
        (60.0, 60, datetime(2023, 11, 14, 22, 14, 20, tzinfo=UTC)),
        (1.75, 1, datetime(2023, 11, 14, 22, 13, 21, 750_000, tzinfo=UTC)),
        (1e12, 2**31 - 1, datetime(9999, 12, 31, tzinfo=UTC)),
        (math.inf, 2**31 - 1, None),
        (None, 2**31 - 1, None),
    ],
)
def test_headers_say_how_long_it_is_kept(
    retention: float | None, age: int, expires: datetime | None
) -> None:
    now = 1_700_000_000.0
    told = headers(NAMED, over_at(now, retention), now)
    assert told["CacheControl"] == f"private, max-age={age}"
    assert told.get("Expires") == expires


def test_an_object_is_saved_and_not_shown() -> None:
    told = headers(NAMED, 2.0, 1.0)
    assert told["ContentType"] == "application/octet-stream"
    assert told["ContentDisposition"] == 'attachment; filename="0f.askonce"'


# ---- held


def test_what_is_longest_unused_goes_first() -> None:
    held = HeldObjects(3_000)
    for name in "abc":
        held.put(name, Held(name, bytes(600)))
    assert held.get("a")
    held.put("d", Held("d", bytes(600)))
    assert [name for name in "abcd" if held.get(name)] == ["a", "c", "d"]


def test_the_bytes_held_are_bounded_whatever_is_written() -> None:
    held = HeldObjects(10_000)
    for number in range(1_000):
        held.put(f"n{number % 90}", Held("e", bytes(number * 7 % 3_000)))
        assert 0 <= held.size <= 10_000
    for number in range(90):
        held.drop(f"n{number}")
    assert held.size == 0


def test_what_is_larger_than_the_room_is_not_held_nor_its_older_self() -> None:
    held = HeldObjects(1_000)
    held.put("a", Held("1", b"small"))
    held.put("a", Held("2", bytes(2_000)))
    assert held.get("a") is None
    assert held.size == 0
