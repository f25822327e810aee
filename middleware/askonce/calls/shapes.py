"""One entry, both shapes: an answer with choices in the shape that its asker wants.

The usage decides first. A plain answer has one, a stream only if ``include_usage`` asked for it
(https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options). An entry
whose request was not due a usage cannot serve an asker who is; the other way round it is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.calls import sse
from askonce.calls.assemble import assemble
from askonce.calls.base import Ask, Rendition
from askonce.calls.expand import expand
from askonce.calls.lossless import read_object, without_member

if TYPE_CHECKING:
    from askonce.calls.form import Form
    from askonce.entry import Entry


def rendition(entry: Entry, ask: Ask, form: Form) -> Rendition | None:
    """Build the shape that an asker wants.

    Args:
        entry: An entry that was judged complete when it was stored.
        ask: The request.
        form: The form of its API.

    Returns:
        The stored bytes themselves where shape and usage are right as they are; else what was
        built from them, marked as converted; None if the entry cannot serve this request.
    """
    if ask.usage_due and not entry.usage_due:
        return None
    if ask.shape == entry.shape and ask.usage_due == entry.usage_due:
        return Rendition(entry.body, entry.shape)
    body = _converted(entry, ask, form)
    return None if body is None else Rendition(body, ask.shape, converted=True)


def _converted(entry: Entry, ask: Ask, form: Form) -> bytes | None:
    if ask.shape == "plain":
        return assemble(entry.body, form)
    if entry.shape == "plain":
        return expand(entry.body, form, usage=ask.usage_due)
    return without_usage(entry.body)


def without_usage(stream: bytes) -> bytes:
    """Take the usage out of a stream: the event that brings it, and the member on other chunks.

    Every other byte stays. A usage in other places (Groq's ``x_groq``) is no usage that was asked
    for; it stays too.
    """
    events, rest = sse.parse(stream)
    return b"".join(event.before + _bare(event) for event in events) + rest


def _bare(event: sse.Event) -> bytes:
    if b"usage" not in event.data and b"\\u" not in event.data:  # the name may be escaped
        return event.raw
    chunk = read_object(event.data)
    if chunk is None or "usage" not in chunk:
        return event.raw
    if chunk["usage"] is not None and not chunk.get("choices"):
        return b""
    return sse.with_data(event, without_member(event.data, "usage"))
