"""Calls without HTTP: their keys, what they may say in ``cache``, and their results as entries.

A call is its keyword arguments: the members of the request's body, and beside them

======================= =======================================================================
``call_type``           ``completion`` if it is not given
``caller``              who asks; callers do not share answers unless the operator says so
``namespace``           a namespace inside the operator's
``cache``               a dict that says what a client may say: ``ttl``, ``s-maxage``, ``no-cache``,
                        ``no-store``, ``namespace``, ``use-cache``
======================= =======================================================================

Their keys are made like those of requests, with an empty path, so that the two never meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from askonce.caching._replaced import as_json
from askonce.calls.base import Ask, Bypass, CallType
from askonce.calls.canonical import is_json
from askonce.calls.keys import Asker, KeyMaker, Place
from askonce.calls.lossless import is_list, is_object
from askonce.calls.registry import CALL_TYPES, canonical
from askonce.entry import Answer, Entry
from askonce.policy.decide import Serve, admit, decide
from askonce.policy.directives import DirectiveError, Directives, read
from askonce.policy.head import pick
from askonce.policy.head import read as read_head
from askonce.policy.storing import Keep, keep
from askonce.wishes import key_options, policy_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.codec import JSON
    from askonce.settings import CacheSettings

_OURS: Final = frozenset({"call_type", "caller", "namespace", "cache"})
_PARTED: Final = frozenset({"data", "usage"})
_HEADERS: Final = ((b"content-type", b"application/json"),)


class Call(msgspec.Struct, frozen=True):
    """A call that may be cached.

    Args:
        key: The physical key of its result.
        ask: What its call type read.
        spoken: What its ``cache`` says.
        keys: Makes this caller's keys for this call type.
    """

    key: str
    ask: Ask
    spoken: Directives
    keys: KeyMaker


class Uncached(msgspec.Struct, frozen=True):
    """A call that has nothing to do with the cache.

    Args:
        reason: Why: ``call-type`` (not among ``supported_call_types``), ``not-json`` (an argument
            is no JSON value), ``shape`` (not what the API takes), or the reason for which such a
            request is bypassed.
    """

    reason: str


class PythonCalls:
    """Reads calls, and turns their results into entries and back. Pure.

    Args:
        settings: What the operator wants.
    """

    def __init__(self, settings: CacheSettings) -> None:
        self._settings = settings
        self._keys = key_options(settings)
        self._policy = policy_options(settings)
        self._head = read_head(pick(_HEADERS), self._policy)

    def read(self, arguments: Mapping[str, Any]) -> Call | Uncached:
        """Read a call.

        Raises:
            ValueError: There is no such call type, or ``cache`` has a wrong member.
        """
        call_type = self._call_type(arguments.get("call_type") or "completion")
        if call_type is None:
            return Uncached("call-type")
        spoken = _spoken(arguments)
        reason = admit(spoken, self._policy)
        if reason is not None:
            return Uncached(reason)
        ask = self._ask(call_type, arguments)
        if isinstance(ask, Uncached):
            return ask
        keys = self._maker(call_type, spoken, arguments.get("caller"))
        return Call(keys.key(ask.digest), ask, spoken, keys)

    def admits(self, arguments: Mapping[str, Any]) -> bool:
        """Say whether the cache has anything to do with such a call, whatever its body.

        Raises:
            ValueError: There is no such call type, or ``cache`` has a wrong member.
        """
        call_type = self._call_type(arguments.get("call_type") or "completion")
        return call_type is not None and admit(_spoken(arguments), self._policy) is None

    def fields(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a replaced ``get_cache_key`` gets: a call has no path."""
        call_type = canonical(arguments.get("call_type") or "completion")
        return {**_members(arguments), "call_type": call_type, "path": ""}

    def items(
        self, arguments: Mapping[str, Any], result: JSON
    ) -> list[tuple[Mapping[str, Any], JSON]]:
        """Part an embedding call whose ``input`` is a list into calls for one item each.

        Args:
            arguments: The call.
            result: Its result; ``data`` has what was made of each.

        Returns:
            The calls and results; the call itself with its result if it is no embedding call of a
            list, none if there are not as many items of ``data``. An item's result has no
            ``usage``: nobody knows which part of it is whose.
        """
        asked = arguments.get("input")
        if canonical(arguments.get("call_type") or "completion") != "embedding" or not is_list(
            asked
        ):
            return [(arguments, result)]
        whole = as_json(result)
        data = whole.get("data") if is_object(whole) else None
        if not is_list(data) or len(data) != len(asked):
            return []
        rest = {name: value for name, value in whole.items() if name not in _PARTED}
        return [
            ({**arguments, "input": item}, {**rest, "data": [_first(made)]})
            for item, made in zip(asked, data, strict=True)
        ]

    def entry(self, call: Call, result: JSON, now: float) -> tuple[Entry, float] | None:
        """Make an entry of a result.

        Args:
            call: The call.
            result: A JSON value, or an object with pydantic's ``model_dump``.
            now: Unix time in seconds.

        Returns:
            The entry and its retention in seconds, or None if it may not be stored.

        Raises:
            TypeError: The result is not a JSON value.
        """
        plain = as_json(result)
        if is_object(plain) and not call.ask.withheld.isdisjoint(plain):
            return None
        body = msgspec.json.encode(plain)
        answer = Answer(200, _HEADERS, body, "plain", self._head.media_type)
        kept = keep(call.spoken, answer, self._head, (), now, self._policy)
        return (_entry(call, answer, kept, now), kept.retention) if isinstance(kept, Keep) else None

    def result(self, call: Call, entry: Entry | None, now: float) -> JSON:
        """Return the result that an entry holds, or None if it may not be used.

        A stale one never is: nobody here could ask for a fresh one behind it.
        """
        decision = decide(call.spoken, entry, (), now, self._policy)
        if entry is None or not isinstance(decision, Serve):
            return None
        return msgspec.json.decode(entry.body)

    def _call_type(self, name: str) -> CallType | None:
        known = canonical(name)
        if known is None:
            raise ValueError(f"call_type: {name!r} is not known")
        return CALL_TYPES.get(known) if known in self._settings.supported_call_types else None

    def _ask(self, call_type: CallType, arguments: Mapping[str, Any]) -> Ask | Uncached:
        members = _members(arguments)
        if not is_json(members):
            return Uncached("not-json")
        ask = call_type.ask(members, None, self._keys)
        if ask is None:
            return Uncached("shape")
        return Uncached(ask.reason) if isinstance(ask, Bypass) else ask

    def _maker(self, call_type: CallType, spoken: Directives, caller: str | None) -> KeyMaker:
        settings = self._settings
        unknown = caller is None or settings.share_between_callers
        who = () if unknown else ("caller", str(caller))
        asker = Asker(settings.namespace, spoken.namespace, caller=who)
        return KeyMaker(asker, Place(), call_type.name, self._keys)


def rekeyed(call: Call, text: str) -> Call:
    """Return a call under the key that a replaced ``get_cache_key`` made of its fields."""
    return replace(call, key=call.keys.key(text))


def _members(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in _OURS}


def _first(item: Any) -> Any:
    """An item as it would stand in a result of its own."""
    return {**item, "index": 0} if is_object(item) and "index" in item else item


def _spoken(arguments: Mapping[str, Any]) -> Directives:
    """Read ``cache``, and ``namespace`` with it: two that differ conflict, as in a request."""
    control: dict[str, Any] = dict(arguments.get("cache") or {})
    namespace = arguments.get("namespace")
    if namespace is not None and control.setdefault("namespace", namespace) != namespace:
        return Directives(conflict=True)
    spoken = read((), control)
    if isinstance(spoken, DirectiveError):
        raise ValueError(spoken.message)  # noqa: TRY004 - it is a value that was returned
    return spoken


def _entry(call: Call, answer: Answer, kept: Keep, now: float) -> Entry:
    return Entry(
        key=call.key,
        stored_at=now - kept.age,
        ttl=kept.ttl,
        status=answer.status,
        headers=kept.headers,
        body=answer.body,
        shape=answer.shape,
        usage_due=call.ask.usage_due,
        vary=kept.vary,
        may_be_stale=kept.may_be_stale,
    )
