"""Which place wins, what every value's origin is, and what is nobody's setting."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

from askonce._settings import layers
from askonce.errors import SettingsError
from askonce.settings import CacheSettings, Origin, UnknownSettingWarning
from support.environment import isolate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture
def everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """One more field in each place, so that every place is the first for one of them."""
    fields = ["namespace", "username", "service_name", "s3_path", "password"]
    (tmp_path / "a.toml").write_text("".join(f"{field} = 'toml'\n" for field in fields))
    (tmp_path / "secrets").mkdir()
    for field in fields[:4]:
        (tmp_path / "secrets" / f"ASKONCE_{field}").write_text("secret\n")
    dotenv = [f"ASKONCE_{field.upper()}=dotenv\n" for field in fields[:3]]
    (tmp_path / ".env").write_text("".join(["ASKONCE_CONFIG_FILE=a.toml\n", *dotenv]))
    for field in fields[:2]:
        monkeypatch.setenv(f"ASKONCE_{field.upper()}", "environment")
    monkeypatch.setenv("ASKONCE_SECRETS_DIR", str(tmp_path / "secrets"))
    monkeypatch.setenv("REDIS_PASSWORD", "fallback")
    return {"namespace": "argument"}


def test_arguments_then_environment_then_dotenv_then_secrets_then_toml(
    everywhere: dict[str, Any],
) -> None:
    settings = CacheSettings(**everywhere)
    assert settings.namespace == "argument"
    assert settings.username == "environment"
    assert settings.service_name == "dotenv"
    assert settings.s3_path == "secret"
    assert settings.password is not None
    assert settings.password.get_secret_value() == "toml"


def test_the_origin_is_told_in_few_words(everywhere: dict[str, Any], tmp_path: Path) -> None:
    settings = CacheSettings(**everywhere)
    fields = ("namespace", "username", "service_name", "s3_path", "password", "ttl")
    assert [str(settings.origin_of(field)) for field in fields] == [
        "argument",
        "environment",
        ".env",
        str(tmp_path / "secrets" / "ASKONCE_s3_path"),
        "a.toml",
        "default",
    ]


def test_a_mapping_replaces_another_one_and_is_not_mixed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.toml").write_text('[routes]\n"/toml" = "completion"\n')
    monkeypatch.setenv("ASKONCE_CONFIG_FILE", "a.toml")
    assert CacheSettings().routes == {"/toml": "completion"}
    assert CacheSettings(routes={"/x": "completion"}).routes == {"/x": "completion"}


def test_another_dotenv_may_be_named_or_none(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ASKONCE_TTL=1\n")
    (tmp_path / "other").write_text("ASKONCE_TTL=2\n")
    assert CacheSettings().ttl == 1
    assert CacheSettings(_env_file=tmp_path / "other").ttl == 2
    assert CacheSettings(_env_file=None).ttl == 3600


def test_a_dotenv_line_without_a_value_says_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ASKONCE_TTL\n")
    assert CacheSettings().origin_of("ttl") == Origin("default")


def test_the_usual_secrets_directory_is_read_if_it_is_there(tmp_path: Path) -> None:
    layers.DEFAULT_SECRETS_DIR.mkdir(parents=True)
    (layers.DEFAULT_SECRETS_DIR / "askonce_password").write_text("hush\n")
    (layers.DEFAULT_SECRETS_DIR / "database_password").write_text("another's")
    settings = CacheSettings()
    assert settings.password is not None
    assert settings.password.get_secret_value() == "hush"


def test_none_is_a_value_where_the_field_may_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASKONCE_MAX_TTL", "60")
    assert CacheSettings(max_ttl=None).max_ttl is None


def test_none_means_not_given_where_the_field_cannot_be_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASKONCE_TTL", "60")
    settings = CacheSettings(ttl=None, namespace=None, supported_call_types=None)
    assert (settings.ttl, settings.namespace) == (60, "askonce")


@pytest.mark.parametrize("field", ["max_ttl", "caller_id", "password", "host", "port", "s3_config"])
def test_an_empty_variable_is_none_and_wins_over_files(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"ASKONCE_{field.upper()}=1\n")
    monkeypatch.setenv(f"ASKONCE_{field.upper()}", "")
    assert getattr(CacheSettings(), field) is None


@pytest.mark.parametrize("field", ["keyed_headers", "ignored_set_cookies", "sentinel_nodes"])
def test_an_empty_variable_is_an_empty_list(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ASKONCE_{field.upper()}", "")
    assert getattr(CacheSettings(), field) == ()


def test_zero_is_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASKONCE_TTL", "0")
    monkeypatch.setenv("ASKONCE_BACKEND_TIMEOUT", "0")
    settings = CacheSettings()
    assert (settings.effective_ttl, settings.effective_backend_timeout) == (0, 0)


FALLBACKS = [
    ({"REDIS_URL": "redis://h"}, {"redis_url": "redis://h"}),
    ({"REDIS_HOST": "h", "REDIS_PORT": "7"}, {"host": "h", "port": 7}),
    ({"REDIS_PASSWORD": "pw"}, {"password": "pw"}),
    ({"REDIS_PORT": ""}, {}),
    ({"REDIS_PORT": "tcp://10.0.0.1:6379"}, {}),
    ({"ASKONCE_HOST": "ours", "REDIS_URL": "redis://h"}, {"host": "ours"}),
    ({"ASKONCE_HOST": "ours", "REDIS_HOST": "h", "REDIS_PORT": "7"}, {"host": "ours", "port": 7}),
    ({"ASKONCE_REDIS_URL": "u", "REDIS_HOST": "h", "REDIS_PORT": "7"}, {"redis_url": "u"}),
    ({"ASKONCE_PASSWORD": "ours", "REDIS_PASSWORD": "pw"}, {"password": "ours"}),
    (
        {"ASKONCE_SENTINEL_NODES": "s:1", "REDIS_URL": "u", "REDIS_HOST": "h", "REDIS_PORT": "7"},
        {"sentinel_nodes": (("s", 1),)},
    ),
    (
        {"ASKONCE_REDIS_STARTUP_NODES": "n:1", "REDIS_URL": "u", "REDIS_HOST": "h"},
        {"redis_startup_nodes": (("n", 1),)},
    ),
]


@pytest.mark.parametrize(("environment", "expected"), FALLBACKS)
def test_the_usual_redis_variables_stand_in_for_ours(
    environment: dict[str, str], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    settings = CacheSettings()
    fields = ("redis_url", "host", "port", "password", "redis_startup_nodes", "sentinel_nodes")
    found = {field: getattr(settings, field) for field in fields if getattr(settings, field)}
    plain = {name: getattr(v, "get_secret_value", lambda v=v: v)() for name, v in found.items()}
    assert plain == expected


def test_the_fallback_is_found_in_dotenv_too_after_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("REDIS_HOST=dotenv\nREDIS_PORT=7\n")
    monkeypatch.setenv("REDIS_HOST", "environment")
    settings = CacheSettings()
    assert (settings.host, settings.port) == ("environment", 7)
    assert str(settings.origin_of("host")) == "environment REDIS_HOST"
    assert settings.origin_of("port") == Origin("file", "REDIS_PORT", ".env")


def test_a_wrong_fallback_is_called_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PORT", "none")
    with pytest.raises(SettingsError, match=r"\n  REDIS_PORT=none: allowed: a port, 1 to 65535$"):
        CacheSettings()


def test_what_kubernetes_announces_is_neither_a_setting_nor_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = "tcp://10.0.0.1:80"
    for name in ("ASKONCE_PORT", "ASKONCE_PORT_80_TCP", "ASKONCE_REDIS_PORT"):
        monkeypatch.setenv(name, link)
    for name in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_80_TCP_ADDR"):
        monkeypatch.setenv(f"ASKONCE_{name}", "10.0.0.1")
    assert CacheSettings().port is None


UNKNOWN = [
    ("ASKONCE_TTTL", "ASKONCE_TTTL is no setting; did you mean ASKONCE_TTL?"),
    ("askonce_typ", "ASKONCE_TYP is no setting; did you mean ASKONCE_TYPE?"),
    ("ASKONCE_CONFIGFILE", "ASKONCE_CONFIGFILE is no setting; did you mean ASKONCE_CONFIG_FILE?"),
    ("ASKONCE_ZZZZZZZZZZZZZZZZZZZZZ", "ASKONCE_ZZZZZZZZZZZZZZZZZZZZZ is no setting"),
]


@pytest.mark.parametrize(("name", "message"), UNKNOWN)
def test_an_unknown_variable_warns_and_names_the_nearest(
    name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "hush")
    with pytest.warns(UnknownSettingWarning) as caught:
        CacheSettings()
    assert [str(warning.message) for warning in caught] == [message]
    assert caught[0].filename == __file__


def test_unknown_names_in_files_warn_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("ASKONCE_TLL=5\nOTHER=1\n")
    (tmp_path / "a.toml").write_text("tll = 5\n[other]\nx = 1\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "askonce_pasword").write_text("hush")
    monkeypatch.setenv("ASKONCE_CONFIG_FILE", "a.toml")
    with pytest.warns(UnknownSettingWarning) as caught:
        CacheSettings(_secrets_dir="secrets")
    assert [str(warning.message) for warning in caught] == [
        "ASKONCE_TLL is no setting; did you mean ASKONCE_TTL? (in .env)",
        "ASKONCE_PASWORD is no setting; did you mean ASKONCE_PASSWORD? (in secrets)",
        "other is no setting (in a.toml)",
        "tll is no setting; did you mean ttl? (in a.toml)",
    ]


def test_known_variables_do_not_warn(everywhere: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CacheSettings(**everywhere)


UNREADABLE = [
    ("ASKONCE_CONFIG_FILE", "missing.toml", "cannot be read: No such file or directory"),
    ("ASKONCE_CONFIG_FILE", "bad.toml", "cannot be read: Expected '=' after a key"),
    ("ASKONCE_CONFIG_FILE", "latin.toml", "cannot be read: 'utf-8' codec can't decode"),
    ("ASKONCE_SECRETS_DIR", "missing", "not a directory"),
    ("ASKONCE_SECRETS_DIR", "bad.toml", "not a directory"),
]


@pytest.mark.parametrize(("variable", "path", "why"), UNREADABLE)
def test_a_named_file_that_cannot_be_read_stops_start_up(
    variable: str, path: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.toml").write_text("ttl 5")
    (tmp_path / "latin.toml").write_bytes(b"namespace = '\xe9'")
    monkeypatch.setenv(variable, path)
    with pytest.raises(SettingsError) as caught:
        CacheSettings()
    lines = str(caught.value).splitlines()
    assert lines[1].startswith(f"  {variable}={path}: {why}")
    assert len(lines) == 2


def test_an_empty_name_of_a_file_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASKONCE_CONFIG_FILE", "")
    monkeypatch.setenv("ASKONCE_SECRETS_DIR", "")
    assert CacheSettings().type == "local"


def test_a_dotenv_that_is_not_text_stops_start_up(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"ASKONCE_NAMESPACE=\xe9\n")
    with pytest.raises(SettingsError, match=r"\n  \.env: cannot be read: 'utf-8' codec"):
        CacheSettings()


def test_a_secret_that_is_not_text_stops_start_up_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "askonce_password").write_bytes(b"hush\xe9")
    with pytest.raises(SettingsError, match="cannot be read: 'utf-8' codec") as caught:
        CacheSettings(_secrets_dir=tmp_path)
    assert "hush" not in str(caught.value)
