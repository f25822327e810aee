"""Field = variable = parameter: whichever way a value comes, it is the same value."""

from __future__ import annotations

import json
import os
import pickle
import string
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from askonce._settings import names, show
from askonce._settings.groups import GROUPS
from askonce.errors import AskonceError, SettingsError
from askonce.settings import CacheSettings, Origin
from support.environment import isolate

# Field: as text, as a value of TOML or Python, and what becomes of both.
SAMPLES: dict[str, tuple[str, Any, Any]] = {
    "type": ("disk", "disk", "disk"),
    "mode": ("default_off", "default_off", "default_off"),
    "supported_call_types": ("acompletion", ["completion", "acompletion"], ("completion",)),
    "routes": ('{"/ask": "acompletion"}', {"/ask": "completion"}, {"/ask": "completion"}),
    "namespace": ("shop", "shop", "shop"),
    "caching_groups": ('[["a", "b"], ["c"]]', [["a", "b"], ["c"]], (("a", "b"), ("c",))),
    "ttl": ("0.5", 0.5, 0.5),
    "max_ttl": ("0", 0, 0.0),
    "default_in_memory_ttl": ("7", 7, 7.0),
    "default_in_redis_ttl": ("8", 8, 8.0),
    "stale_while_revalidate": ("9", 9, 9.0),
    "stale_if_error": ("1e1", 10, 10.0),
    "share_between_callers": ("true", True, True),
    "keyed_headers": ("X-Tenant, x-b,X-TENANT", ["x-tenant", "X-B"], ("x-tenant", "x-b")),
    "caller_id": ("shop.auth:who.am_i", "shop.auth:who.am_i", "shop.auth:who.am_i"),
    "ignored_params": ("trace_id,x", ["trace_id", "x"], ("trace_id", "x")),
    "ignored_set_cookies": ("Aa", ["Aa"], ("Aa",)),
    "cache_hosted_tools": ("1", True, True),
    "cacheable_statuses": ("200,404", [200, 404], (200, 404)),
    "respect_response_cache_control": ("never", "never", "never"),
    "max_request_bytes": ("64 KiB", 65536, 65536),
    "max_response_bytes": ("1MiB", "1MiB", 1048576),
    "memory_max_entries": ("5", 5, 5),
    "memory_max_bytes": ("1000", 1000, 1000),
    "coalesce": ("off", "off", "off"),
    "coalesce_timeout": ("1.5", 1.5, 1.5),
    "backend_timeout": ("0.1", 0.1, 0.1),
    "redis_url": ("redis://:pw@h", "redis://:pw@h", SecretStr("redis://:pw@h")),
    "host": ("cache-1", "cache-1", "cache-1"),
    "port": ("6380", 6380, 6380),
    "db": ("0", 0, 0),
    "username": ("u", "u", "u"),
    "password": ("pw", "pw", SecretStr("pw")),
    "redis_startup_nodes": (
        "a:1,b:2",
        [{"host": "a", "port": 1}, ["b", 2]],
        (("a", 1), ("b", 2)),
    ),
    "sentinel_nodes": ('[["s", 26379]]', [["s", 26379]], (("s", 26379),)),
    "service_name": ("primary", "primary", "primary"),
    "ssl": ("on", True, True),
    "ssl_cert_reqs": ("none", "none", "none"),
    "ssl_ca_certs": ("/ca.pem", "/ca.pem", "/ca.pem"),
    "ssl_certfile": ("/c.pem", "/c.pem", "/c.pem"),
    "ssl_keyfile": ("/k.pem", "/k.pem", "/k.pem"),
    "ssl_check_hostname": ("false", False, False),
    "redis_flush_size": ("10", 10, 10),
    "redis_credential_provider": ("a.b:c", "a.b:c", "a.b:c"),
    "redis_max_connections": ("10", 10, 10),
    "redis_connect_timeout": ("0.5", 0.5, 0.5),
    "redis_retries": ("0", 0, 0),
    "redis_health_check_interval": ("0", 0, 0.0),
    "redis_protocol": ("2", 2, 2),
    "s3_bucket_name": ("b", "b", "b"),
    "s3_region_name": ("r", "r", "r"),
    "s3_path": ("p/", "p/", "p/"),
    "s3_endpoint_url": ("http://s3:1", "http://s3:1", "http://s3:1"),
    "s3_api_version": ("2006-03-01", "2006-03-01", "2006-03-01"),
    "s3_use_ssl": ("false", False, False),
    "s3_verify": ("False", False, False),
    "s3_aws_access_key_id": ("id", "id", "id"),
    "s3_aws_secret_access_key": ("key", "key", SecretStr("key")),
    "s3_aws_session_token": ("token", "token", SecretStr("token")),
    "s3_config": (
        '{"retries": {"total": 1}}',
        {"retries": {"total": 1}},
        {"retries": {"total": 1}},
    ),
    "disk_cache_dir": ("/var/x", "/var/x", Path("/var/x")),
    "disk_max_bytes": ("1MiB", 1048576, 1048576),
    "disk_culling": ("least-recently-used", "least-recently-used", "least-recently-used"),
    "similarity_threshold": ("0.9", 0.9, 0.9),
    "qdrant_api_base": ("http://q", "http://q", "http://q"),
    "qdrant_api_key": ("k", "k", SecretStr("k")),
    "qdrant_collection_name": ("c", "c", "c"),
    "qdrant_quantization_config": ("scalar", "scalar", "scalar"),
    "expose_key": ("yes", True, True),
    "admin_token": ("", None, None),
    "mark_hits": ("true", True, True),
    "log_content": ("false", False, False),
}
EACH_FIELD = pytest.mark.parametrize("field", SAMPLES)


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def test_every_field_has_a_sample_and_a_group() -> None:
    grouped = [field for group in GROUPS for field in group.model_fields]
    assert list(SAMPLES) == grouped == list(CacheSettings.model_fields)


@EACH_FIELD
def test_a_field_is_a_parameter(field: str) -> None:
    _, raw, expected = SAMPLES[field]
    settings = CacheSettings(**{field: raw})
    assert getattr(settings, field) == expected
    assert settings.origin_of(field) == Origin("argument", field)


@EACH_FIELD
def test_a_parameter_may_be_text(field: str) -> None:
    text, _, expected = SAMPLES[field]
    assert getattr(CacheSettings(**{field: text}), field) == expected


@EACH_FIELD
def test_a_field_is_a_variable(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _, expected = SAMPLES[field]
    monkeypatch.setenv(f"ASKONCE_{field.upper()}", text)
    settings = CacheSettings()
    assert getattr(settings, field) == expected
    assert settings.origin_of(field) == Origin("environment", f"ASKONCE_{field.upper()}")


@EACH_FIELD
def test_a_field_is_a_variable_in_dotenv(field: str, tmp_path: Path) -> None:
    text, _, expected = SAMPLES[field]
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY=k\nASKONCE_{field.upper()}='{text}'\n")
    settings = CacheSettings()
    assert getattr(settings, field) == expected
    assert settings.origin_of(field) == Origin("file", f"ASKONCE_{field.upper()}", ".env")


@EACH_FIELD
def test_a_field_is_a_secret_file(field: str, tmp_path: Path) -> None:
    text, _, expected = SAMPLES[field]
    path = tmp_path / f"askonce_{field}"
    path.write_text(f"{text}\n")
    settings = CacheSettings(_secrets_dir=tmp_path)
    assert getattr(settings, field) == expected
    assert settings.origin_of(field) == Origin("file", f"ASKONCE_{field.upper()}", str(path))


@EACH_FIELD
def test_a_field_is_a_key_of_the_toml_file(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, raw, expected = SAMPLES[field]
    path = tmp_path / "askonce.toml"
    path.write_text(f"{field} = {_toml(raw)}\n")
    monkeypatch.setenv("ASKONCE_CONFIG_FILE", str(path))
    settings = CacheSettings()
    assert getattr(settings, field) == expected
    assert settings.origin_of(field) == Origin("file", field, str(path))


@EACH_FIELD
def test_what_is_shown_of_a_field_is_what_its_variable_takes(field: str) -> None:
    info = CacheSettings.model_fields[field]
    value = SAMPLES[field][2]
    text = show.as_text(value)
    if show.is_secret(info):
        assert text == ("" if value is None else show.MASK)
    else:
        assert getattr(CacheSettings(**{field: text}), field) == value


@EACH_FIELD
def test_every_default_is_a_value_that_may_be_given(field: str) -> None:
    default = CacheSettings.model_fields[field].default
    assert getattr(CacheSettings(**{field: default}), field) == default
    assert CacheSettings().origin_of(field) == Origin("default")


def test_the_defaults_are_the_documented_ones() -> None:
    settings = CacheSettings()
    assert settings.type == "local"
    assert settings.mode == "default_on"
    assert settings.supported_call_types == ("completion", "text_completion")
    assert settings.namespace == "askonce"
    assert (settings.ttl, settings.max_ttl) == (3600, None)
    assert (settings.stale_while_revalidate, settings.stale_if_error) == (0, 0)
    assert settings.share_between_callers is False
    assert settings.ignored_set_cookies == ("__cf_bm", "_cfuvid", "__cflb")
    assert settings.cacheable_statuses == (200,)
    assert settings.respect_response_cache_control == "auto"
    assert settings.max_request_bytes == 32 * 1024 * 1024
    assert settings.max_response_bytes == 8 * 1024 * 1024
    assert (settings.memory_max_entries, settings.memory_max_bytes) == (100_000, 256 * 1024 * 1024)
    assert (settings.coalesce, settings.coalesce_timeout) == ("off", 60)
    assert settings.expose_key is False


def test_no_variable_is_taken_for_one_that_kubernetes_makes() -> None:
    assert not [field for field in SAMPLES if names.is_service_link(names.variable(field), "value")]


def test_a_directory_may_be_below_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/shop")
    assert CacheSettings(disk_cache_dir="~/answers").disk_cache_dir == Path("/home/shop/answers")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(CacheSettings(), "ttl", 5)  # noqa: B010 (what type checkers refuse is tried)


def test_settings_survive_a_copy_to_another_process() -> None:
    settings = CacheSettings(ttl=5, password="pw")
    copy = pickle.loads(pickle.dumps(settings))
    assert copy == settings
    assert copy.origin_of("ttl") == Origin("argument", "ttl")


def test_secrets_are_not_in_the_representation() -> None:
    assert "hush" not in repr(CacheSettings(password="hush", redis_url="redis://:hush@h"))


def test_a_settings_error_is_a_value_error_of_ours() -> None:
    with pytest.raises(SettingsError) as caught:
        CacheSettings(ttl=-1)
    assert isinstance(caught.value, ValueError | AskonceError)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_every_duration_may_be_written_as_text(seconds: float) -> None:
    assert CacheSettings(ttl=repr(seconds)).ttl == seconds


@given(st.lists(st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1)))
def test_a_list_is_the_same_between_commas_and_as_json(tokens: list[str]) -> None:
    cookies = [
        CacheSettings(ignored_set_cookies=text) for text in (",".join(tokens), json.dumps(tokens))
    ]
    assert cookies[0].ignored_set_cookies == cookies[1].ignored_set_cookies
    assert cookies[0].ignored_set_cookies == tuple(dict.fromkeys(tokens))


@given(
    st.sampled_from(sorted(SAMPLES)),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
def test_whatever_a_variable_holds_it_is_read_or_named(field: str, text: str) -> None:
    variable = f"ASKONCE_{field.upper()}"
    with patch.dict(os.environ, {variable: text}):
        try:
            CacheSettings()
        except SettingsError as error:
            first, *rest = str(error).splitlines()
            assert first == "a setting is wrong:"
            assert [line.startswith(f"  {variable}=") for line in rest] == [True]


def _toml(value: Any) -> str:
    """Write a value as TOML; a none cannot be written, an empty text stands for it."""
    if value is None:
        return '""'
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)} = {_toml(member)}" for name, member in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)
