"""``askonce check``: does the backend work from here, and if not, why not."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from askonce._commands import app
from askonce.caching.disk_cache import DiskCache
from support.environment import isolate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments], env=environment)


def test_a_backend_that_works_is_said_to_and_timed() -> None:
    result = run()
    assert result.exit_code == 0
    assert "memory: wrote, read and deleted a probe" in result.stdout
    assert "a look-up takes" in result.stdout
    assert "no limit" in result.stdout
    assert result.stderr == ""


def test_json_has_all_of_it(tmp_path: Path) -> None:
    result = run("--json", ASKONCE_TYPE="disk", ASKONCE_DISK_CACHE_DIR=str(tmp_path / "kept"))
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report.pop("round_trip") > 0
    assert report == {
        "type": "disk",
        "ok": True,
        "message": "disk: wrote, read and deleted a probe",
        "limit": 0.25,
        "advice": [],
    }


def test_the_probe_is_gone_afterwards(tmp_path: Path) -> None:
    where = {"ASKONCE_TYPE": "disk", "ASKONCE_DISK_CACHE_DIR": str(tmp_path / "kept")}
    assert run(**where).exit_code == 0
    assert DiskCache(tmp_path / "kept").flush_cache() == 0


def test_a_directory_that_cannot_be_made_is_said_with_its_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    where = {"ASKONCE_TYPE": "disk", "ASKONCE_DISK_CACHE_DIR": str(tmp_path / "file" / "below")}
    result = run(**where)
    assert result.exit_code == 1
    assert "ASKONCE_DISK_CACHE_DIR" in result.stderr
    assert result.stdout == ""
    report = json.loads(run("--json", **where).stdout)
    assert report["ok"] is False
    assert "ASKONCE_DISK_CACHE_DIR" in report["message"]


def test_a_missing_driver_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("askonce.caching._diskcache", raising=False)
    monkeypatch.setitem(sys.modules, "askonce.caching._diskcache", None)
    result = run(ASKONCE_TYPE="disk")
    assert result.exit_code == 1
    assert "pip install 'askonce[disk]'" in result.stderr


def test_wrong_settings_are_listed() -> None:
    result = run(ASKONCE_TTL="soon")
    assert result.exit_code == 1
    assert "ASKONCE_TTL=soon" in result.stderr


def test_a_backend_too_slow_for_its_limit_is_advised_about(tmp_path: Path) -> None:
    result = run(
        ASKONCE_TYPE="disk",
        ASKONCE_DISK_CACHE_DIR=str(tmp_path / "kept"),
        ASKONCE_BACKEND_TIMEOUT="0.000001",
    )
    assert result.exit_code == 0
    assert "Raise ASKONCE_BACKEND_TIMEOUT" in result.stderr
