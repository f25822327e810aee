"""Servers that the tests of a module share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import sites
from support.environment import isolate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def no_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An environment that says nothing of the cache: the defaults decide."""
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, tmp_path_factory.mktemp("empty"))
        yield


@pytest.fixture(scope="module")
def bare() -> Iterator[sites.Site]:
    """The provider without a cache."""
    with sites.bare() as site:
        yield site


@pytest.fixture(scope="module")
def cached(no_settings: None) -> Iterator[sites.Site]:
    """The same provider with one line of askonce."""
    with sites.cached() as site:
        yield site
