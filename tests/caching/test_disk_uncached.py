"""A disk that is full or may not be written to costs no request, and one warning."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diskcache
import pytest

from support.disk_workers import fill_up, started

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such troubles")

HIT = "askonce; hit; ttl=3599"
FAILED = "askonce; fwd=miss; detail=backend-error"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that everybody may look into: who is root becomes nobody for one of these."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


@pytest.fixture
def small_disk(directory: Path) -> Iterator[Path]:
    """A file system of 4 MiB, in memory."""
    tool = shutil.which("mount")
    if os.geteuid() != 0 or tool is None:
        pytest.skip("only root may mount a small file system; a limit on sizes stands in for it")
    mounted = subprocess.run(
        [tool, "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system may be mounted here; a limit on sizes stands in for it")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


def served(directory: Path, trouble: str) -> dict[str, Any]:
    worker = started("serve", directory, trouble)
    heard, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0
    result = json.loads(heard)
    assert [status for status, _ in result["heard"]] == [200] * 6
    return result


def statuses(result: dict[str, Any]) -> list[str]:
    """What was said in ``Cache-Status``, whatever the seconds were."""
    return ["hit" if "; hit;" in said else said for _, said in result["heard"]]


def is_full(result: dict[str, Any], directory: Path) -> None:
    first, again, *rest = statuses(result)
    assert "stored" in first
    assert again == "hit"
    assert "hit" not in rest[:2]  # what was asked for since is not kept
    assert rest[2] == "hit"  # what was there before still is
    (warning,) = result["logged"]
    assert f"disk: a write failed, served uncached: disk: {directory}: " in warning
    assert result["test"]["status"] == "failed"


def test_a_full_file_system_serves_what_is_there_and_the_rest_uncached(small_disk: Path) -> None:
    result = served(small_disk, "full")
    is_full(result, small_disk)
    hint = "disk is full. HINT: free some space, or lower ASKONCE_DISK_MAX_BYTES"
    assert hint in result["logged"][0]


def test_a_limit_on_file_sizes_serves_what_is_there_and_the_rest_uncached(directory: Path) -> None:
    is_full(served(directory, "full"), directory)


def test_a_file_system_that_was_full_from_the_start_serves_uncached(small_disk: Path) -> None:
    fill_up(small_disk)
    result = served(small_disk, "none")
    assert statuses(result) == [FAILED] * 6
    (warning,) = result["logged"]
    assert "disk is full. HINT: free some space" in warning
    assert "disk is full" in result["test"]["message"]


def test_a_directory_that_may_not_be_written_to_serves_uncached(directory: Path) -> None:
    result = served(directory, "unwritable")
    assert statuses(result) == [FAILED] * 6
    (warning,) = result["logged"]
    assert f"{directory}: unable to open database file. HINT: choose a directory that" in warning
    assert "ASKONCE_DISK_CACHE_DIR" in result["test"]["message"]
    assert list(directory.iterdir()) == []


def test_a_directory_of_another_program_serves_uncached(directory: Path) -> None:
    with diskcache.Cache(str(directory)) as strange:
        strange.set("k", {"pickled": True})
    result = served(directory, "none")
    assert statuses(result) == [FAILED] * 6
    (warning,) = result["logged"]
    assert "cache.db is another program's. HINT: choose another directory" in warning
    with diskcache.Cache(str(directory)) as strange:
        assert strange.get("k") == {"pickled": True}
