"""Content codings are undone within bounds, or not at all."""

from __future__ import annotations

import gzip
import sys
import zlib

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.coding import decoded

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b'{"answer": "four"}' * 50


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS = {
    b"gzip": gzip.compress,
    b"X-GZip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
    b"zstd": zstd.compress,
}


@pytest.mark.parametrize("coding", PACKERS)
def test_a_known_coding_is_undone(coding: bytes) -> None:
    assert decoded(PACKERS[coding](TEXT), coding, len(TEXT)) == TEXT


@pytest.mark.parametrize("coding", [b"", b"identity", b" Identity "])
def test_no_coding_is_the_body_itself(coding: bytes) -> None:
    assert decoded(TEXT, coding, len(TEXT)) is TEXT


def test_deflate_without_its_wrapper_is_understood() -> None:
    assert decoded(raw_deflate(TEXT), b"deflate", len(TEXT)) == TEXT


@pytest.mark.parametrize("coding", [b"gzip", b"zstd"])
def test_several_members_are_one_body(coding: bytes) -> None:
    packed = PACKERS[coding](TEXT) + PACKERS[coding](b"more")
    assert decoded(packed, coding, len(TEXT) + 4) == TEXT + b"more"
    assert decoded(packed, coding, len(TEXT) + 3) is None


@pytest.mark.parametrize("coding", [*PACKERS, b"identity"])
def test_a_body_over_the_limit_is_refused(coding: bytes) -> None:
    packed = PACKERS.get(coding, bytes)(TEXT)
    assert decoded(packed, coding, len(TEXT) - 1) is None


@pytest.mark.parametrize("coding", PACKERS)
def test_a_bomb_stops_at_the_limit(coding: bytes) -> None:
    assert decoded(PACKERS[coding](bytes(20_000_000)), coding, 1000) is None


@pytest.mark.parametrize("coding", PACKERS)
def test_a_truncated_body_is_refused(coding: bytes) -> None:
    packed = PACKERS[coding](TEXT)
    assert [n for n in range(len(packed)) if decoded(packed[:n], coding, 10_000) is not None] == []


@pytest.mark.parametrize("coding", PACKERS)
def test_what_follows_the_body_is_refused(coding: bytes) -> None:
    assert decoded(PACKERS[coding](TEXT) + b"tail", coding, 10_000) is None


@pytest.mark.parametrize("coding", [b"compress", b"gzip, br", b"dcb", b"\xff"])
def test_an_unknown_coding_is_not_undone(coding: bytes) -> None:
    assert decoded(TEXT, coding, 10_000) is None


@given(data=st.binary(max_size=200), coding=st.sampled_from(sorted(PACKERS)))
def test_no_bytes_raise(data: bytes, coding: bytes) -> None:
    result = decoded(data, coding, 100)
    assert result is None or len(result) <= 100
