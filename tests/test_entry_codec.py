"""The codec: everything comes back as it went in, or not at all."""

from __future__ import annotations

import json
import math
import pickle
from hashlib import blake2b

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce import codec
from askonce.entry import Entry
from askonce.errors import EntryError

ENTRY = Entry(
    key="askonce:" + "ab" * 32,
    stored_at=1_700_000_000.25,
    ttl=60.5,
    status=200,
    headers=((b"content-type", b"application/json"), (b"x", b"1"), (b"x", b"\xff\x00")),
    body=b'{"choices": []}',
    shape="plain",
    usage_due=True,
    vary=((b"accept", (b"a", b"b")), (b"origin", ())),
    may_be_stale=False,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
fields = st.tuples(st.binary(max_size=8), st.binary(max_size=8))
entries = st.builds(
    Entry,
    key=st.text(max_size=20),
    stored_at=finite,
    ttl=finite,
    status=st.integers(100, 599),
    headers=st.lists(fields, max_size=3).map(tuple),
    body=st.binary(max_size=100),
    shape=st.sampled_from(["plain", "stream"]),
    usage_due=st.booleans(),
    vary=st.lists(
        st.tuples(st.binary(max_size=8), st.lists(st.binary(max_size=8), max_size=2).map(tuple)),
        max_size=2,
    ).map(tuple),
    may_be_stale=st.booleans(),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def same(one: object, other: object) -> bool:
    """1, 1.0 and true are equal in Python, and are not the same value."""
    return json.dumps(one) == json.dumps(other)


def sealed(kind: bytes, payload: bytes, version: int = codec.VERSION) -> bytes:
    """Bytes with a right checksum around any payload."""
    mark = codec.MAGIC + bytes([version]) + kind
    return mark + blake2b(payload, digest_size=16, key=mark).digest() + payload


def packed(fields: object) -> bytes:
    return sealed(b"E", msgspec.msgpack.encode(fields))


# ---- entries


@given(entries)
def test_an_entry_comes_back_as_it_went_in(entry: Entry) -> None:
    assert codec.decode(codec.encode(entry), entry.key) == entry


@given(entries, st.data())
def test_a_truncated_entry_is_never_read(entry: Entry, data: st.DataObject) -> None:
    whole = codec.encode(entry)
    with pytest.raises(EntryError):
        codec.decode(whole[: data.draw(st.integers(0, len(whole) - 1))], entry.key)


@given(entries, st.data())
def test_an_entry_with_flipped_bits_is_never_read(entry: Entry, data: st.DataObject) -> None:
    damaged = bytearray(codec.encode(entry))
    for place in data.draw(st.sets(st.integers(0, len(damaged) * 8 - 1), min_size=1, max_size=9)):
        damaged[place // 8] ^= 1 << place % 8
    with pytest.raises(EntryError):
        codec.decode(bytes(damaged), entry.key)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_no_entry(data: bytes) -> None:
    with pytest.raises(EntryError):
        codec.decode(data, ENTRY.key)


@given(st.binary(max_size=200))
def test_foreign_bytes_with_a_right_checksum_are_no_entry_either(payload: bytes) -> None:
    with pytest.raises(EntryError):
        codec.decode(sealed(b"E", payload), ENTRY.key)


def test_an_entry_of_another_key_is_refused() -> None:
    with pytest.raises(EntryError, match="another key"):
        codec.decode(codec.encode(ENTRY), ENTRY.key[:-1] + "0")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not askonce's"),
        (b"17", "not askonce's"),
        (codec.MAGIC, "not askonce's"),
        (pickle.dumps(ENTRY.key), "not askonce's"),
        (codec.encode(ENTRY) + b"\x00", "checksum"),
        (sealed(b"E", codec.encode(ENTRY)[21:], version=2), "format 2"),
        (sealed(b"X", codec.encode(ENTRY)[21:]), "another kind"),
        (codec.encode_value({"a": 1}), "another kind"),
        (sealed(b"E", b"\x91" * 100_000), "array"),
        (packed(["k", "now", 1, 200, [], b"", "plain", True]), "float"),
        (packed(["k", 1, 1, 200, [], b"", "flat", True]), "flat"),
        (packed({"key": ENTRY.key}), "array"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(data: bytes, why: str) -> None:
    with pytest.raises(EntryError, match=f"(?i){why}"):
        codec.decode(data, ENTRY.key)


def test_the_format_is_what_older_entries_have() -> None:
    """A change of these bytes must come with a new version, or stored answers are lost."""
    head, payload = codec.encode(ENTRY)[:5], codec.encode(ENTRY)[21:]
    assert head == b"\xa5ao\x01E"
    assert msgspec.msgpack.decode(payload)[:4] == [ENTRY.key, 1_700_000_000.25, 60.5, 200]


# ---- plain values


@given(json_values)
def test_a_json_value_comes_back_as_it_went_in(value: object) -> None:
    assert same(codec.decode_value(codec.encode_value(value)), value)


@pytest.mark.parametrize(
    "value", [None, False, True, 0, -0.0, 0.0, "", [], {}, [None], 2**64, -(2**63) - 1, "0", "1e5"]
)
def test_falsy_and_awkward_values_keep_value_and_type(value: object) -> None:
    back = codec.decode_value(codec.encode_value(value))
    assert type(back) is type(value)
    assert same(back, value)


def test_tuples_come_back_as_lists() -> None:
    assert codec.decode_value(codec.encode_value({"a": (1, (2,))})) == {"a": [1, [2]]}


@given(
    json_values.filter(
        lambda value: isinstance(value, bool) or not codec.encode_value(value)[:1].isdigit()
    ),
    st.data(),
)
def test_damaged_values_are_never_read(value: object, data: st.DataObject) -> None:
    whole = bytearray(codec.encode_value(value))
    if whole[:1] != codec.MAGIC[:1]:
        return  # a bare number below zero: it has no checksum
    place = data.draw(st.integers(0, len(whole) * 8 - 1))
    short = bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    whole[place // 8] ^= 1 << place % 8
    for damaged in (bytes(whole), short):
        with pytest.raises(EntryError):
            codec.decode_value(damaged)


@given(st.binary(max_size=100))
def test_foreign_bytes_are_a_number_or_no_value(data: bytes) -> None:
    try:
        value = codec.decode_value(data)
    except EntryError:
        return
    assert isinstance(value, int | float)
    assert float(data) == value


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"5", 5), (b"-12", -12), (b"5.5", 5.5), (b"1e3", 1000.0), (b"-0", 0), (b"007", 7)],
)
def test_counters_are_bare_decimal_text(data: bytes, value: float) -> None:
    assert same(codec.decode_value(data), value)
    assert same(codec.decode_number(data), value)


@pytest.mark.parametrize(("value", "data"), [(5, b"5"), (-1, b"-1"), (0.5, b"0.5")])
def test_numbers_are_written_so_that_a_server_can_add_to_them(value: float, data: bytes) -> None:
    assert codec.encode_value(value) == data


@pytest.mark.parametrize(
    "data",
    [b"1e999", b"-1e999", b"9" * 401, b" 5", b"5\n", b"+5", b"0x5", b"1_0", b"nan", b"inf", b"1.",
     b".5", "\u0665".encode()],
)  # fmt: skip
def test_no_other_text_is_a_number(data: bytes) -> None:
    with pytest.raises(EntryError):
        codec.decode_value(data)


def test_no_counter_is_made_of_anything_else() -> None:
    assert codec.decode_number(codec.encode_value("5")) is None
    assert codec.decode_number(codec.encode(ENTRY)) is None


@pytest.mark.parametrize(
    "value", [{1, 2}, b"bytes", {1: 2}, {"a": {None: 1}}, [object()], 1j, ENTRY, {"a": [b""]}]
)
def test_what_json_has_not_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        codec.encode_value(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], "\ud800", {"\udfff": 1}])
def test_numbers_and_texts_that_json_has_not_are_refused(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own words for the surrogates
        codec.encode_value(value)


def test_nesting_without_end_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="200 deep"):
        codec.encode_value(endless)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x91" * 100_000,
        b"\xc1",
        msgspec.msgpack.encode(msgspec.msgpack.Ext(7, b"abc")),
        b"\x93\x01",
        b"\xa1\xff",
    ],
)
def test_unreadable_payloads_with_a_right_checksum_are_no_value(payload: bytes) -> None:
    with pytest.raises(EntryError):
        codec.decode_value(sealed(b"V", payload))


def test_an_entry_is_no_value() -> None:
    with pytest.raises(EntryError, match="another kind"):
        codec.decode_value(codec.encode(ENTRY))
