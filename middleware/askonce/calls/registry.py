"""Which requests are ours: the call types, their names, and the paths that they answer at.

A path is ours if it ends in an API's suffix and what stands before the suffix is one of:

====================================== ====================================================
nothing                                ``/chat/completions``
the mount's ``root_path``              ``/api/chat/completions``
a version, whatever stands before it   ``/v1/chat/completions``, ``/api/v1beta/chat/completions``
``/openai``, also behind a version     ``/v1beta/openai/chat/completions`` (Gemini's)
Azure's ``/openai/deployments/{name}`` ``/openai/deployments/gpt-4o/chat/completions``
====================================== ====================================================

A suffix that is an everyday word (``versioned``) counts only behind a version or on Azure's
deployment paths: ``/forms/7/responses`` is no LLM call. The root path may stand before each of
these. Whatever else an operator serves is said in ``routes``, path by path.

Sources: OpenAI's API reference; https://ai.google.dev/gemini-api/docs/openai;
https://learn.microsoft.com/azure/ai-services/openai/reference
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from askonce.calls.base import CallType, Route, Suffix
from askonce.calls.chat import Completion
from askonce.calls.text import TextCompletion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KNOWN: Final = frozenset(
    {
        "completion",
        "text_completion",
        "embedding",
        "transcription",
        "rerank",
        "responses",
        "anthropic_messages",
    }
)
"""Canonical names of all call types that a setting may name."""

CALL_TYPES: Final[Mapping[str, CallType]] = MappingProxyType(
    {call.name: call for call in (Completion(), TextCompletion())}
)
"""The call types that this version understands, by canonical name."""

_VERSION: Final = r"(?:/[^/]+)*/v[0-9]+(?:\.[0-9]+)?(?:(?:alpha|beta)[0-9]*)?"
_AZURE: Final = r"/openai/deployments/(?P<deployment>[^/]+)"
_BEFORE_VERSIONED: Final = re.compile(f"{_VERSION}|{_AZURE}")
_BEFORE_ANY: Final = re.compile(f"(?:{_VERSION})?(?:/openai)?|{_AZURE}")

_SEEN_PATHS: Final = 1024
_SEEN_LENGTH: Final = 256


def canonical(name: str) -> str | None:
    """Return the canonical name of a call type; None if there is no such type.

    Args:
        name: The name as a setting has it, or its twin for asynchronous calls, which is the same
            with an ``a`` before it: ``acompletion``, ``aembedding``.
    """
    if name in KNOWN:
        return name
    twin = name.removeprefix("a")
    return twin if twin in KNOWN else None


class Router:
    """Knows the paths that are ours.

    Args:
        call_types: The call types to answer for.
        routes: The operator's own paths (exact, with or without the mount's root path) and the
            call type of each.
    """

    __slots__ = ("_routes", "_seen", "_suffixes", "_tails")

    def __init__(self, call_types: Sequence[CallType], routes: Mapping[str, CallType]) -> None:
        suffixes = [(suffix, call) for call in call_types for suffix in call.suffixes]
        self._suffixes = sorted(suffixes, key=_length, reverse=True)
        self._routes = {path: Route(call) for path, call in routes.items()}
        self._tails = (*(suffix.path for suffix, _ in suffixes), *self._routes)
        self._seen: dict[tuple[str, str], Route | None] = {}

    def match(self, path: str, root_path: str = "") -> Route | None:
        """Say what answers at a path.

        Args:
            path: The scope's decoded ``path``.
            root_path: The scope's ``root_path``.

        Returns:
            The route, or None if the path is not ours.
        """
        asked = (path, root_path)
        if asked in self._seen:
            return self._seen[asked]
        if not path.endswith(self._tails):
            return None
        return self._remember(asked, self._search(path, root_path))

    def _remember(self, asked: tuple[str, str], route: Route | None) -> Route | None:
        if len(asked[0]) + len(asked[1]) <= _SEEN_LENGTH:
            if len(self._seen) >= _SEEN_PATHS:  # strangers' paths: the few real ones come back
                self._seen.clear()
            self._seen[asked] = route
        return route

    def _search(self, path: str, root_path: str) -> Route | None:
        inner = _inside(path, root_path)
        for suffix, call in self._suffixes:
            route = _route(suffix, call, path) or _route(suffix, call, inner)
            if route is not None:
                return route
        return self._routes.get(path) or self._routes.get(inner)


def _inside(path: str, root_path: str) -> str:
    """The path inside the mount; servers and frameworks differ in whether they cut it off."""
    root = root_path.rstrip("/")
    return path[len(root) :] if path.startswith(f"{root}/") else path


def _route(suffix: Suffix, call: CallType, path: str) -> Route | None:
    if not path.endswith(suffix.path):
        return None
    before = _BEFORE_VERSIONED if suffix.versioned else _BEFORE_ANY
    match = before.fullmatch(path.removesuffix(suffix.path))
    return Route(call, match["deployment"]) if match else None


def _length(item: tuple[Suffix, CallType]) -> int:
    return len(item[0].path)
