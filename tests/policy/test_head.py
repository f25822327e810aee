"""What the head of an answer says."""

from __future__ import annotations

import pytest

from askonce.heads import MEMO_BYTES, Heads
from askonce.policy.head import pick, read
from askonce.policy.options import Options

JSON = (b"content-type", b"application/json")

TYPES = [
    ((), "plain", b""),
    ((JSON,), "plain", b"application/json"),
    (((b"Content-Type", b"Application/JSON ; charset=utf-8"),), "plain", b"application/json"),
    (((b"content-type", b" text/event-stream;charset=utf-8"),), "stream", b"text/event-stream"),
    (((b"content-type", b"text/event-streams"),), "stream", b"text/event-streams"),
    ((JSON, JSON), "plain", b""),
    ((JSON, (b"content-type", b"text/event-stream")), "stream", b""),
    (((b"x", b"application/json"),), "plain", b""),
]


@pytest.mark.parametrize(("headers", "shape", "media_type"), TYPES)
def test_shape_and_media_type_are_those_of_the_one_content_type(headers, shape, media_type):
    head = read(pick(headers), Options())
    assert (head.shape, head.media_type) == (shape, media_type)


def test_what_is_not_read_is_not_picked():
    assert pick(((b"X-Request-Id", b"1"), (b"Vary", b"origin"))) == ((b"vary", b"origin"),)


def test_several_codings_are_one_list():
    headers = ((b"content-encoding", b"gzip"), (b"content-encoding", b"br"))
    assert read(pick(headers), Options()).coding == b"gzip,br"


def test_a_head_is_read_once():
    heads = Heads(Options())
    first = heads.read((JSON, (b"x-request-id", b"1")))
    assert heads.read(((b"Content-Type", b"application/json"), (b"x-request-id", b"2"))) is first
    assert heads.read((JSON, (b"cache-control", b"private"))) is not first


def test_a_huge_head_is_read_and_not_remembered():
    heads = Heads(Options())
    huge = (JSON, (b"vary", b"x" * MEMO_BYTES))
    assert heads.read(huge).varies == heads.read(huge).varies
    assert heads.read(huge) is not heads.read(huge)
