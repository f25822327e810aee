"""An environment without the developer's own settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from askonce._settings import layers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest


def isolate(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Remove every setting from the environment and work in an empty directory."""
    for name in _settings(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setattr(layers, "DEFAULT_SECRETS_DIR", directory / "run" / "secrets")
    monkeypatch.chdir(directory)


def _settings(names: os._Environ[str]) -> Iterator[str]:
    return (name for name in list(names) if name.upper().startswith(("ASKONCE_", "REDIS_")))
