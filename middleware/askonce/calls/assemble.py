"""From chunks to a whole answer, by the tables of its form."""

from __future__ import annotations

from typing import Any

from askonce.calls import sse
from askonce.calls.deltas import CLASH, Rule, Table, collected, combine, first, last, lone
from askonce.calls.form import ENVELOPE, Form, is_numbered
from askonce.calls.lossless import is_list, is_object, loses, read_object, write


def assemble(stream: bytes, form: Form) -> bytes | None:
    """Build the JSON answer that a recorded stream amounts to.

    Args:
        stream: A stream that was judged complete.
        form: The form of its API.

    Returns:
        The JSON body, or None if the chunks leave more than one reading.
    """
    chunks = [read_object(event.data) for event in sse.parse(stream)[0] if event.data != sse.DONE]
    known = [chunk for chunk in chunks if chunk is not None]
    if len(known) < len(chunks) or loses(stream):
        return None
    whole = combine(_with_one_envelope(known), _answer(form))
    if not is_object(whole) or not whole.get("choices"):
        return None
    return write({**whole, "object": form.whole})


def _with_one_envelope(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take the envelope only from chunks that name a model: Azure's first has it empty."""
    return [chunk if chunk.get("model") else _bare(chunk) for chunk in chunks]


def _bare(chunk: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in chunk.items() if name not in ENVELOPE}


def _answer(form: Form) -> Table:
    return {
        **dict.fromkeys(ENVELOPE, first),
        "choices": _choices(form),
        "usage": last,  # the usage event's, or where some put it: on the last chunk, on all chunks
        "x_groq": _union,
        "obfuscation": None,  # padding against eavesdroppers on the stream's chunk sizes
    }


def _union(seen: list[Any]) -> Any:
    """Groq's first and last chunk have one each, both with an id, the last with a usage."""
    return combine(seen, {}) if all(map(is_object, seen)) else CLASH


def _choices(form: Form) -> Rule:
    def rule(seen: list[Any]) -> Any:
        pieces = collected(seen)
        if not is_list(pieces) or not all(map(is_numbered, pieces)):
            return CLASH
        by_index: dict[int, list[dict[str, Any]]] = {}
        for piece in pieces:
            by_index.setdefault(piece["index"], []).append(piece)
        whole = [_choice(by_index[index], form) for index in sorted(by_index)]
        return CLASH if CLASH in whole else whole

    return rule


def _choice(pieces: list[dict[str, Any]], form: Form) -> Any:
    whole = combine(pieces, form.choice, lone)
    if not is_object(whole) or whole.get(form.delta) is None:
        return CLASH
    if form.content != form.delta and form.content in whole:
        return CLASH
    return {form.content if name == form.delta else name: whole[name] for name in whole}
