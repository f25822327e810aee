"""A wrong value stops start-up with a line that names it, shows it and says what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from askonce._settings import values
from askonce.errors import SettingsError
from askonce.settings import CacheSettings
from support.environment import isolate

if TYPE_CHECKING:
    from pathlib import Path

ALLOWED = {
    "ttl": "seconds, 0 or more, fractions allowed",
    "max_ttl": "seconds, 0 or more, fractions allowed",
    "stale_if_error": "seconds, 0 or more, fractions allowed",
    "coalesce_timeout": "seconds, 0 or more, fractions allowed",
    "mode": "default_on or default_off",
    "type": "local, disk, redis, s3 or dual",
    "respect_response_cache_control": "auto, always or never",
    "supported_call_types": "a list of completion and text_completion",
    "routes": "a JSON object, path to completion or text_completion",
    "namespace": "a text, not empty",
    "caching_groups": "a JSON list of lists of model names",
    "share_between_callers": "true or false",
    "keyed_headers": "a list of header names",
    "caller_id": "an import path, module:function",
    "ignored_params": "a list of member names",
    "ignored_set_cookies": "a list of cookie names",
    "cacheable_statuses": "a list of status codes, 100 to 599",
    "max_request_bytes": "bytes, 1 or more, also as 8MiB",
    "max_response_bytes": "bytes, 1 or more, also as 8MiB",
    "memory_max_bytes": "bytes, 1 or more, also as 8MiB",
    "memory_max_entries": "a whole number, 1 or more",
    "coalesce": "off",
    "port": "a port, 1 to 65535",
    "db": "a whole number, 0 or more",
    "redis_startup_nodes": 'a list of host:port, or JSON: [["host", 6379]] or '
    '[{"host": "…", "port": 6379}]',
    "sentinel_nodes": 'a list of host:port, or JSON: [["host", 6379]] or '
    '[{"host": "…", "port": 6379}]',
    "ssl_cert_reqs": "none, optional or required",
    "redis_flush_size": "a whole number, 1 or more",
    "redis_credential_provider": "an import path, module:function",
    "redis_max_connections": "a whole number, 1 or more",
    "redis_connect_timeout": "seconds, 0 or more, fractions allowed",
    "redis_retries": "a whole number, 0 or more",
    "redis_health_check_interval": "seconds, 0 or more, fractions allowed",
    "redis_protocol": "2 or 3",
    "s3_config": "a JSON object",
    "s3_verify": "true, false or the path of a CA bundle",
    "disk_max_bytes": "bytes, 1 or more, also as 8MiB",
    "disk_culling": "least-recently-stored or least-recently-used",
    "disk_cache_dir": "a directory",
    "similarity_threshold": "a number from 0 to 1",
    "qdrant_quantization_config": "binary, scalar or product",
    "expose_key": "true or false",
    "password": "a secret",
}

NO_PATH = "is not a path: it begins with / and has no ? or #"
ONE_ANSWER = "without 'messages' different questions would get the same answer"

# Field, its variable's text ('' stands for an empty one), and what is said beside what is allowed.
WRONG_TEXTS = [
    ("ttl", "-5", ""),
    ("ttl", "soon", ""),
    ("ttl", "''", ""),
    ("max_ttl", "nan", ""),
    ("stale_if_error", "inf", ""),
    ("coalesce_timeout", "1e999", ""),
    ("mode", "on", ""),
    ("type", "memory", ""),
    ("respect_response_cache_control", "maybe", ""),
    ("supported_call_types", "chat", ""),
    ("supported_call_types", "aacompletion", ""),
    ("supported_call_types", "[]", "an empty list would cache nothing"),
    ("routes", '{"ask": "completion"}', f"'ask' {NO_PATH}"),
    ("routes", '{"/a?b": "completion"}', f"'/a?b' {NO_PATH}"),
    ("routes", '{"/ask": "chat"}', ""),
    ("routes", '["/ask"]', ""),
    ("routes", "/ask", "not JSON, expected value at line 1 column 1"),
    ("namespace", "''", "empty"),
    ("namespace", "'  '", "empty"),
    ("caching_groups", "gpt-4,gpt-5", "not JSON, expected value at line 1 column 1"),
    ("caching_groups", '["a", "b"]', ""),
    ("caching_groups", '[["a", "b"], ["b"]]', "'b' is in two groups"),
    ("share_between_callers", "perhaps", ""),
    ("share_between_callers", "''", ""),
    ("keyed_headers", "x tenant", "'x tenant' is not a token"),
    ("keyed_headers", "x-tenant:", "'x-tenant:' is not a token"),
    ("caller_id", "shop.who", "'shop.who' is not of that form"),
    ("caller_id", "shop:", "'shop:' is not of that form"),
    ("caller_id", "shop..auth:who", "'shop..auth:who' is not of that form"),
    ("caller_id", "a:b:c", "'a:b:c' is not of that form"),
    ("ignored_params", "trace,messages", ONE_ANSWER),
    ("ignored_set_cookies", "a b", "'a b' is not a token"),
    ("cacheable_statuses", "99", ""),
    ("cacheable_statuses", "600", ""),
    ("cacheable_statuses", "OK", ""),
    ("cacheable_statuses", "[true]", "not a number"),
    ("cacheable_statuses", "''", "an empty list would cache nothing"),
    ("max_request_bytes", "0", ""),
    ("max_request_bytes", "-1", ""),
    ("max_response_bytes", "8 MoB", ""),
    ("memory_max_bytes", "much", ""),
    ("memory_max_entries", "0", ""),
    ("memory_max_entries", "1.5", ""),
    ("coalesce", "always", ""),
    ("port", "0", ""),
    ("port", "65536", ""),
    ("db", "-1", ""),
    ("redis_startup_nodes", "cache-1", "empty"),
    ("redis_startup_nodes", "cache-1:x", ""),
    ("sentinel_nodes", '[{"host": "a"}]', ""),
    ("ssl_cert_reqs", "CERT_NONE", ""),
    ("redis_flush_size", "0", ""),
    ("redis_credential_provider", "provider", "'provider' is not of that form"),
    ("redis_max_connections", "0", ""),
    ("redis_connect_timeout", "-1", ""),
    ("redis_retries", "-1", ""),
    ("redis_health_check_interval", "soon", ""),
    ("redis_protocol", "4", ""),
    ("s3_config", "[]", ""),
    ("s3_config", '{"a":1,"a":2}', 'not JSON, Detected duplicate key "a" at line 1 column 12'),
    ("s3_config", '{"a": NaN}', "not JSON, expected value at line 1 column 7"),
    ("disk_max_bytes", "0", ""),
    ("disk_culling", "random", ""),
    ("disk_cache_dir", "''", "empty"),
    ("similarity_threshold", "1.01", ""),
    ("similarity_threshold", "-0.1", ""),
    ("qdrant_quantization_config", "half", ""),
    ("expose_key", "2", ""),
]

# Parameter, argument, how it is shown, and what is said beside what is allowed.
WRONG_ARGUMENTS: list[tuple[str, Any, str, str]] = [
    ("ttl", "x", "x", ""),
    ("ttl", True, "True", "not a number"),
    ("ttl", [1], "[1]", ""),
    ("max_request_bytes", True, "True", "not a number"),
    ("port", True, "True", "not a number"),
    ("port", "x\ny", "'x\\ny'", ""),
    ("namespace", "", "''", "empty"),
    ("namespace", 7, "7", ""),
    ("mode", "x" * 99, f"{'x' * 60}…", ""),
    ("mode", " default_on", "' default_on'", ""),
    ("keyed_headers", {"a": 1}, "{'a': 1}", ""),
    ("caller_id", print, "<built-in function print>", ""),
    ("s3_verify", 3, "3", ""),
    ("sentinel_nodes", [{"h": "a", "port": 1}], "[{'h': 'a', 'port': 1}]", ""),
    ("password", 1234, "********", ""),
]

BACKENDS = "this version has local, disk, redis, s3 and dual"
CALLS = "this version has completion and text_completion"
NOTHING = "this version has no such thing"

# Field, text, and what this version says of what it lacks.
NOT_HERE = [
    *(
        ("type", name, f"{BACKENDS}; answering by meaning comes in a later one")
        for name in ("redis-semantic", "qdrant-semantic", "local-semantic")
    ),
    *(
        ("coalesce", name, "this version has off; joining a running request comes in a later one")
        for name in ("process", "shared")
    ),
    *(
        (field, text.format(name), f"{CALLS}; {what} in a later one")
        for field, text in (("supported_call_types", "completion,{}"), ("routes", '{{"/x": "{}"}}'))
        for name, what in (
            ("embedding", "embeddings come"),
            ("aembedding", "embeddings come"),
            ("transcription", "transcriptions come"),
            ("rerank", "reranking comes"),
            ("responses", "OpenAI's Responses come"),
            ("anthropic_messages", "Anthropic's Messages come"),
            ("aanthropic_messages", "Anthropic's Messages come"),
        )
    ),
    ("log_content", "true", f"{NOTHING}; logging of contents comes in a later one"),
]


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def complaint(**arguments: Any) -> list[str]:
    """Return the lines of the error that stops start-up."""
    with pytest.raises(SettingsError) as caught:
        CacheSettings(**arguments)
    return str(caught.value).splitlines()


def explained(field: str, why: str) -> str:
    return f"{why}; allowed: {ALLOWED[field]}" if why else f"allowed: {ALLOWED[field]}"


GUARDED = ("redis_startup_nodes", "sentinel_nodes", "s3_config")


def shown_of(field: str, text: str) -> str:
    return "********" if field in GUARDED else text


@pytest.mark.parametrize("field", GUARDED)
@pytest.mark.parametrize("text", ['[{"password":"hush"}]', '{"aws_secret":"hush"'])
def test_what_may_hold_a_secret_is_not_said_again(field: str, text: str) -> None:
    assert "hush" not in "".join(complaint(**{field: text}))


@pytest.mark.parametrize(("field", "text", "why"), WRONG_TEXTS)
def test_a_wrong_variable_is_named_shown_and_explained(
    field: str, text: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"ASKONCE_{field.upper()}"
    monkeypatch.setenv(variable, text.removeprefix("'").removesuffix("'"))
    shown = shown_of(field, text)
    assert complaint() == ["a setting is wrong:", f"  {variable}={shown}: {explained(field, why)}"]


@pytest.mark.parametrize(("field", "argument", "shown", "why"), WRONG_ARGUMENTS)
def test_a_wrong_argument_is_called_by_its_parameter(
    field: str, argument: Any, shown: str, why: str
) -> None:
    line = f"  {field}={shown_of(field, shown)}: {explained(field, why)}"
    assert complaint(**{field: argument}) == ["a setting is wrong:", line]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ttll", "  ttll: there is no such setting; did you mean ttl?"),
        ("wholly_unlike_any", "  wholly_unlike_any: there is no such setting"),
    ],
)
def test_an_unknown_argument_names_the_nearest_and_not_its_value(name: str, line: str) -> None:
    assert complaint(**{name: "hush"}) == ["a setting is wrong:", line]


@pytest.mark.parametrize(("field", "text", "why"), NOT_HERE)
def test_what_this_version_lacks_is_an_error_that_says_so(
    field: str, text: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"ASKONCE_{field.upper()}"
    monkeypatch.setenv(variable, text)
    assert complaint() == ["a setting is wrong:", f"  {variable}={text}: {why}"]


def test_an_admin_token_is_for_a_later_version_and_is_not_shown() -> None:
    why = f"{NOTHING}; endpoints for operators come in a later one; leave it unset"
    assert complaint(admin_token="hush")[1:] == [f"  admin_token=********: {why}"]


def test_every_reserved_value_has_a_test() -> None:
    tested = {(field, text.removeprefix("completion,")) for field, text, _ in NOT_HERE}
    reserved = {(row.field, values.as_word(row.value)) for row in values.RESERVED}
    assert reserved - tested == {("admin_token", values.ANYTHING)}


def test_every_wrong_setting_has_a_line_in_the_documented_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASKONCE_PORT", "x")
    monkeypatch.setenv("ASKONCE_CONFIG_FILE", "no.toml")
    (tmp_path / ".env").write_text("ASKONCE_NAMESPACE=\n")
    assert complaint(ttl=-1, typ="local") == [
        "5 settings are wrong:",
        "  typ: there is no such setting; did you mean type?",
        "  ASKONCE_CONFIG_FILE=no.toml: cannot be read: No such file or directory",
        "  ASKONCE_NAMESPACE='' (in .env): empty; allowed: a text, not empty",
        f"  ttl=-1: allowed: {ALLOWED['ttl']}",
        "  ASKONCE_PORT=x: allowed: a port, 1 to 65535",
    ]


def test_a_wrong_value_of_a_file_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.toml").write_text("ttl = '1h'\npassword = 1234\n")
    (tmp_path / "askonce_db").write_text("one")
    monkeypatch.setenv("ASKONCE_CONFIG_FILE", "a.toml")
    assert complaint(_secrets_dir=tmp_path)[1:] == [
        f"  ttl=1h (in a.toml): allowed: {ALLOWED['ttl']}",
        f"  ASKONCE_DB=one (in {tmp_path}/askonce_db): allowed: a whole number, 0 or more",
        "  password=******** (in a.toml): allowed: a secret",
    ]


def test_a_route_to_a_call_type_that_is_left_out_would_never_be_used() -> None:
    why = "/x is text_completion, which supported_call_types leaves out"
    assert complaint(supported_call_types="completion", routes={"/x": "text_completion"})[1:] == [
        f"  routes={{'/x': 'text_completion'}}: {explained('routes', why)}"
    ]


def test_routes_are_not_blamed_for_wrong_call_types() -> None:
    assert complaint(supported_call_types="x", routes={"/x": "completion"})[1:] == [
        f"  supported_call_types=x: allowed: {ALLOWED['supported_call_types']}"
    ]


def test_settings_of_a_backend_that_was_not_chosen_are_accepted() -> None:
    settings = CacheSettings(host="cache", s3_bucket_name="b", qdrant_api_base="http://q")
    assert settings.type == "local"
    assert settings.host == "cache"
