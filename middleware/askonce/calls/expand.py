"""From a whole answer to chunks.

The chunks come as OpenAI sends them: for each choice the role, then what was said, then the finish
reason, each chunk with the envelope; at the end the usage, if it is due, and ``[DONE]``. What was
said comes in one piece, for it is all there. Members that OpenAI does not document go along once:
those of the answer on the first chunk, those of a choice on its last.
"""

from __future__ import annotations

from typing import Any, Final

from askonce.calls import sse
from askonce.calls.form import ENVELOPE, Form, is_numbered
from askonce.calls.lossless import is_list, loses, read_object, write

_FRAMED: Final = frozenset({"index", "logprobs", "finish_reason"})
_ANSWERED: Final = frozenset({*ENVELOPE, "choices", "usage"})


def expand(body: bytes, form: Form, *, usage: bool) -> bytes | None:
    """Build the event stream that a JSON answer amounts to.

    Args:
        body: A JSON answer that was judged complete.
        form: The form of its API.
        usage: True if the asker is due a usage.

    Returns:
        The stream, or None if the answer has something of which it is not known how to cut it.
    """
    whole = None if loses(body) else read_object(body)
    frames = None if whole is None else _all_frames(whole.get("choices"), form)
    if whole is None or not frames:
        return None
    chunks = _chunks(whole, frames, form, usage=usage)
    return b"".join(sse.encode(write(chunk)) for chunk in chunks) + sse.encode(sse.DONE)


def _chunks(
    whole: dict[str, Any], frames: list[dict[str, Any]], form: Form, *, usage: bool
) -> list[dict[str, Any]]:
    envelope = {name: whole[name] for name in ENVELOPE if name in whole} | {"object": form.chunk}
    others = {name: value for name, value in whole.items() if name not in _ANSWERED}
    blank = {"usage": None} if usage and "usage" in whole else {}
    chunks = [{**envelope, "choices": [frame], **blank} for frame in frames]
    chunks[0].update(others)
    if usage and whole.get("usage") is not None:
        chunks.append({**envelope, "choices": [], "usage": whole["usage"]})
    return chunks


def _all_frames(choices: Any, form: Form) -> list[dict[str, Any]] | None:
    """Every choice of every chunk, in the order of the choices' indexes."""
    if not is_list(choices) or not all(map(is_numbered, choices)):
        return None
    frames: list[dict[str, Any]] = []
    for choice in sorted(choices, key=lambda choice: choice["index"]):
        framed = _frames(choice, form)
        if framed is None:
            return None
        frames += framed
    return frames


def _frames(choice: dict[str, Any], form: Form) -> list[dict[str, Any]] | None:
    cut = form.cut(choice.get(form.content))
    if cut is None or (form.delta != form.content and form.delta in choice):
        return None
    blank = {"logprobs": None} if "logprobs" in choice else {}
    index = choice["index"]
    frames = [
        {"index": index, form.delta: delta, **blank, "finish_reason": None} for delta in cut.deltas
    ]
    if blank:
        frames[cut.spoken]["logprobs"] = choice["logprobs"]
    kept = _FRAMED | {form.content}
    frames[-1].update({name: value for name, value in choice.items() if name not in kept})
    frames[-1]["finish_reason"] = choice.get("finish_reason")
    return frames
