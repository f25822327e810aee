"""Tool calls in a stream: which fragment belongs to which call.

OpenAI numbers the calls and gives each fragment its call's ``index``; only the first one has the
``id``: https://platform.openai.com/docs/guides/function-calling#streaming. Others are looser:
Gemini's compatible API gives every call the index 0 or none, but an id of its own:
https://ai.google.dev/gemini-api/docs/openai. So the id decides, then the index, then the order.

What these cannot tell apart (a second name for a call without an id, one id at two indexes, a call
that never gets a name) is a clash.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from askonce.calls.deltas import CLASH, Table, appended, collected, combine, lone, nested, once
from askonce.calls.lossless import is_list, is_object

Fragment: TypeAlias = dict[str, Any]

CALL: Final[Table] = {
    "index": None,  # a place in the stream; in JSON it is the place in the list
    "id": once,
    "type": once,
    "function": nested({"name": once, "arguments": appended}),
    "custom": nested({"name": once, "input": appended}),
}


def calls(seen: list[Any]) -> Any:
    """The rule for ``tool_calls``: the whole calls, in the order of their indexes."""
    fragments = collected(seen)
    if not is_list(fragments) or not all(map(is_object, fragments)):
        return CLASH
    sorter = _Sorter()
    if not all(map(sorter.place, fragments)):
        return CLASH
    whole = [call.whole() for call in sorter.in_order()]
    return CLASH if CLASH in whole else whole


class _Call:
    """The fragments of one call."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self._named = False
        self._fragments: list[Fragment] = []

    def admits(self, fragment: Fragment) -> bool:
        index = fragment.get("index")
        if fragment.get("id"):
            return index is None or index == self.index
        return not (self._named and _is_named(fragment))

    def add(self, fragment: Fragment) -> None:
        self._named = self._named or _is_named(fragment)
        self._fragments.append(fragment)

    def whole(self) -> Any:
        return combine(self._fragments, CALL, lone) if self._named else CLASH


class _Sorter:
    """All calls of one choice, in the order in which they began."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}

    def place(self, fragment: Fragment) -> bool:
        """Add a fragment to its call, or begin one. False: it may belong to more than one."""
        ident, index = fragment.get("id"), fragment.get("index")
        if not (ident is None or type(ident) is str) or not (index is None or type(index) is int):
            return False
        call = self._home(ident, index)
        if call is None:
            call = self._begin(ident, index)
        elif not call.admits(fragment):
            return False
        call.add(fragment)
        return True

    def _home(self, ident: str | None, index: int | None) -> _Call | None:
        if ident:
            return self._by_id.get(ident)
        if index is not None:
            return self._by_index.get(index)
        return self._calls[-1] if self._calls else None

    def _begin(self, ident: str | None, index: int | None) -> _Call:
        call = _Call(index)
        self._calls.append(call)
        if ident:
            self._by_id[ident] = call
        if index is not None:
            self._by_index[index] = call
        return call

    def in_order(self) -> list[_Call]:
        if len(self._by_index) < len(self._calls):
            return self._calls  # indexes that are missing or repeated say nothing of the order
        return [self._by_index[index] for index in sorted(self._by_index)]


def _is_named(fragment: Fragment) -> bool:
    kinds = (fragment.get("function"), fragment.get("custom"))
    return any(is_object(kind) and bool(kind.get("name")) for kind in kinds)
