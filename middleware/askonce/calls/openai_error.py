"""OpenAI's error body: https://platform.openai.com/docs/guides/error-codes."""

from __future__ import annotations

from askonce.calls.lossless import write


def error_body(message: str, *, code: str, param: str | None = None) -> bytes:
    """Write an error as OpenAI's SDKs read it.

    Args:
        message: What went wrong and what to do.
        code: A short name for it.
        param: The parameter that is to blame, if one is.

    Returns:
        A JSON object. All errors that a cache makes by itself lie in the request, hence the type.
    """
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return write({"error": error})
