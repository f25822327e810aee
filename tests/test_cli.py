"""The command line: readable on a terminal, plain in a pipe, never a traceback."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from askonce._commands import app
from askonce._documents import reference
from askonce.cli import main
from askonce.settings import CacheSettings
from support.environment import isolate

if TYPE_CHECKING:
    from pathlib import Path

ESCAPE = "\x1b"


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, arguments, env=environment)


def on_terminal(columns: int, *arguments: str, **environment: str) -> Result:
    terminal = {"FORCE_COLOR": "1", "COLUMNS": str(columns), "TERM": "xterm"}
    return run(*arguments, **terminal, **environment)


def plain(text: str) -> list[str]:
    """Return the lines that one sees: without colours and trailing blanks."""
    parts = text.split(f"{ESCAPE}[")
    seen = [parts[0], *(part.partition("m")[2] for part in parts[1:])]
    return [line.rstrip() for line in "".join(seen).splitlines()]


def rows(text: str) -> dict[str, list[str]]:
    return {row[0]: row[1:] for line in plain(text) if len(row := line.split(None, 2)) == 3}


def test_version_is_the_installed_one() -> None:
    assert run("--version").stdout == f"askonce {version('askonce')}\n"


def test_no_command_shows_the_help() -> None:
    result = run()
    assert "settings" in result.output
    assert result.exit_code == 2


def test_settings_are_shown_with_their_origins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ASKONCE_MAX_TTL=60\nASKONCE_TYPE=disk\n")
    result = run("settings", ASKONCE_NAMESPACE="[red]shop[/red]", REDIS_PORT="7")
    assert result.exit_code == 0
    shown = rows(result.stdout)
    assert shown["ASKONCE_TYPE"] == ["disk", ".env"]
    assert shown["ASKONCE_MAX_TTL"] == ["60", ".env"]
    assert shown["ASKONCE_NAMESPACE"] == ["[red]shop[/red]", "environment"]
    assert shown["ASKONCE_PORT"] == ["7", "environment REDIS_PORT"]
    assert shown["ASKONCE_TTL"] == ["3600", "default"]
    assert shown["ttl"] == ["60", "computed"]
    assert shown["backend_timeout"] == ["0.25", "computed"]


def test_every_setting_is_shown_in_its_group() -> None:
    lines = plain(run("settings").stdout)
    variables = [line.split()[0] for line in lines if line.startswith("ASKONCE_")]
    assert variables == [f"ASKONCE_{field.upper()}" for field in CacheSettings.model_fields]
    titles = [line for line in lines if line and not line.startswith(("ASKONCE_", "Variable"))]
    assert titles[:3] == ["What is cached", "How long answers are fresh", "Who shares answers"]


def test_a_pipe_gets_no_colours_and_no_broken_lines() -> None:
    path = "/" + "long/" * 60
    result = run("settings", ASKONCE_DISK_CACHE_DIR=path, COLUMNS="40")
    assert ESCAPE not in result.stdout
    assert rows(result.stdout)["ASKONCE_DISK_CACHE_DIR"] == [path.rstrip("/"), "environment"]


@pytest.mark.parametrize("columns", [80, 76])
def test_a_usual_terminal_gets_a_table_that_fits(columns: int) -> None:
    result = on_terminal(columns, "settings", ASKONCE_DISK_CACHE_DIR="/" + "long/" * 30)
    lines = plain(result.stdout)
    assert ESCAPE in result.stdout
    assert max(map(len, lines)) <= columns
    longest = "ASKONCE_RESPECT_RESPONSE_CACHE_CONTROL"
    assert rows(result.stdout)[longest] == ["auto", "default"]


def test_a_narrow_terminal_gets_values_below_their_names() -> None:
    lines = plain(on_terminal(40, "settings", ASKONCE_TTL="5").stdout)
    assert max(map(len, lines)) <= 40
    assert lines[lines.index("ASKONCE_TTL") + 1] == "  5  (environment)"
    assert lines[lines.index("ASKONCE_TYPE") + 1] == "  local  (default)"


@pytest.mark.parametrize("arguments", [["settings"], ["settings", "--json"]])
def test_secrets_are_masked(arguments: list[str]) -> None:
    names = ("PASSWORD", "REDIS_URL", "QDRANT_API_KEY", "S3_AWS_SECRET_ACCESS_KEY")
    secrets = {f"ASKONCE_{name}": "hush" for name in names}
    result = run(*arguments, **secrets, ASKONCE_S3_AWS_SESSION_TOKEN="hush")
    assert result.exit_code == 0
    assert "hush" not in result.output
    assert result.stdout.count("********") == 5


def test_json_has_every_value_and_origin(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ASKONCE_DEFAULT_IN_MEMORY_TTL=60\n")
    shown = json.loads(run("settings", "--json", ASKONCE_ROUTES='{"/ü": "completion"}').stdout)
    assert list(shown["settings"]) == list(CacheSettings.model_fields)
    assert shown["settings"]["routes"] == {
        "variable": "ASKONCE_ROUTES",
        "value": {"/ü": "completion"},
        "from": {"kind": "environment", "name": "ASKONCE_ROUTES", "path": ""},
    }
    dotenv = {"kind": "file", "name": "ASKONCE_DEFAULT_IN_MEMORY_TTL", "path": ".env"}
    assert shown["settings"]["default_in_memory_ttl"]["from"] == dotenv
    assert shown["settings"]["cacheable_statuses"]["value"] == [200]
    assert shown["settings"]["disk_cache_dir"]["value"] == ".askonce"
    assert shown["settings"]["expose_key"]["value"] is False
    assert shown["in_effect"] == {"ttl": 60, "backend_timeout": None}


def test_wrong_settings_are_listed_on_stderr_and_nothing_on_stdout() -> None:
    result = run("settings", ASKONCE_TTL="-1", ASKONCE_MODE="x", ASKONCE_TTTL="5")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "warning: ASKONCE_TTTL is no setting; did you mean ASKONCE_TTL?",
        "askonce: 2 settings are wrong:",
        "  ASKONCE_MODE=x: allowed: default_on or default_off",
        "  ASKONCE_TTL=-1: allowed: seconds, 0 or more, fractions allowed",
    ]


def test_an_unknown_setting_is_a_warning_beside_the_table() -> None:
    result = run("settings", "--json", ASKONCE_TTTL="5")
    assert result.exit_code == 0
    assert result.stderr == "warning: ASKONCE_TTTL is no setting; did you mean ASKONCE_TTL?\n"
    assert json.loads(result.stdout)


def test_write_makes_all_documents_whatever_the_environment(tmp_path: Path) -> None:
    result = run("settings", "--write", "new/settings", ASKONCE_TTL="wrong")
    assert result.exit_code == 0
    written = tmp_path / "new" / "settings"
    for path, text in reference.documents().items():
        assert (written / path).read_text("utf-8") == text
        assert f"new/settings/{path}" in result.stdout.splitlines()


def test_a_directory_that_cannot_be_written_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("settings", "--write", "file")
    assert result.exit_code == 1
    assert result.stderr == "askonce: cannot write file: File exists\n"


def test_main_runs_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/whatever", "--version"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("askonce ")


def test_python_m_askonce_is_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["askonce", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("askonce", run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"askonce {version('askonce')}\n"


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_a_missing_extra_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit) as caught:
        main()
    message = f"{package} is not installed. HINT: run  pip install 'askonce[cli]'"
    assert caught.value.code == f"askonce: {message}"


def test_without_the_extra_python_m_askonce_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    block = "import sys; sys.modules['typer'] = None; sys.argv = ['askonce', 'settings']; "
    code = f"{block}import runpy; runpy.run_module('askonce', run_name='__main__')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "askonce: typer is not installed. HINT: run  pip install 'askonce[cli]'"
    ]


@pytest.mark.parametrize("arguments", [["settings"], ["settings", "--json"]])
def test_secrets_inside_other_settings_are_masked_too(arguments: list[str]) -> None:
    result = run(
        *arguments,
        ASKONCE_QDRANT_API_BASE="http://u:hush@h/x",
        ASKONCE_S3_ENDPOINT_URL="https://hush@h",
        ASKONCE_S3_CONFIG='{"proxies": {"http": "hush"}}',
    )
    assert "hush" not in result.stdout
    assert "http://********@h/x" in result.stdout
