"""Which fields are replayed."""

from __future__ import annotations

import pytest

from askonce.policy.head import pick, read
from askonce.policy.headers import converted_headers, stored_headers
from askonce.policy.options import Options


def stored(headers):
    return stored_headers(headers, read(pick(headers), Options()).named)


KEPT = [
    b"content-type",
    b"content-language",
    b"cache-control",
    b"expires",
    b"etag",
    b"last-modified",
    b"vary",
    b"link",
    b"openai-version",
    b"openai-model",
    b"x-model",
    b"x-forwarded-for",
    b"access-control-allow-origin",
    b"askonce-origin-request-id",
    b"te-x",
    b"dated",
]
DROPPED = [
    b"connection",
    b"keep-alive",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"proxy-connection",
    b"proxy-authenticate",
    b"proxy-authentication-info",
    b"proxy-authorization",
    b"content-length",
    b"content-encoding",
    b"date",
    b"server",
    b"age",
    b"cache-status",
    b"set-cookie",
    b"retry-after",
    b"x-ratelimit-limit-requests",
    b"x-ratelimit-remaining-tokens",
    b"ratelimit",
    b"ratelimit-policy",
    b"ratelimit-remaining",
    b"anthropic-ratelimit-requests-limit",
    b"openai-processing-ms",
    b"openai-organization",
    b"openai-project",
    b"anthropic-organization-id",
    b"cf-ray",
    b"cf-cache-status",
]


@pytest.mark.parametrize("name", KEPT)
def test_a_field_is_stored(name):
    assert stored(((name.title(), b"Value"),)) == ((name, b"Value"),)


@pytest.mark.parametrize("name", DROPPED)
def test_a_field_is_not_stored(name):
    assert stored(((name, b"x"), (name.title(), b"x"))) == ()


def test_fields_that_connection_names_are_not_stored():
    headers = (
        (b"X-Hop", b"1"),
        (b"connection", b"close, x-hop"),
        (b"Connection", b"X-Other"),
        (b"x-other", b"1"),
        (b"x-end", b"1"),
    )
    assert stored(headers) == ((b"x-end", b"1"),)


@pytest.mark.parametrize("directive", [b"no-cache", b"private"])
def test_fields_that_cache_control_names_are_not_stored(directive):
    headers = (
        (b"cache-control", directive + b'="X-One, x-two", max-age=5'),
        (b"x-one", b"1"),
        (b"X-Two", b"2"),
        (b"x-three", b"3"),
    )
    assert stored(headers) == (headers[0], (b"x-three", b"3"))


def test_a_directive_without_an_argument_names_no_field():
    headers = ((b"cache-control", b"no-cache, private, max-age=5"), (b"max-age", b"x"))
    assert stored(headers) == headers


@pytest.mark.parametrize("name", [b"x-request-id", b"request-id", b"X-Request-Id"])
def test_the_request_id_comes_back_as_the_origins(name):
    assert stored(((name, b"r1"),)) == ((b"askonce-origin-request-id", b"r1"),)


def test_a_request_id_that_connection_names_is_not_stored():
    assert stored(((b"x-request-id", b"r"), (b"connection", b"x-request-id"))) == ()


def test_order_and_duplicates_are_kept():
    headers = ((b"b", b"1"), (b"a", b"2"), (b"b", b"3"), (b"b", b"1"))
    assert stored(headers) == headers


def test_a_converted_body_gets_its_content_type_and_loses_what_described_the_stored_one():
    headers = (
        (b"x-first", b"1"),
        (b"content-type", b"application/json"),
        (b"Content-Type", b"application/json"),
        (b"etag", b'"x"'),
        (b"last-modified", b"x"),
        (b"content-md5", b"x"),
        (b"digest", b"x"),
        (b"content-digest", b"x"),
        (b"repr-digest", b"x"),
        (b"accept-ranges", b"bytes"),
        (b"x-last", b"1"),
        (b"x-last", b"2"),
    )
    assert converted_headers(headers, b"text/event-stream") == (
        (b"content-type", b"text/event-stream"),
        (b"x-first", b"1"),
        (b"x-last", b"1"),
        (b"x-last", b"2"),
    )


def test_a_converted_body_without_a_stored_content_type_gets_one():
    assert converted_headers((), b"application/json") == ((b"content-type", b"application/json"),)
