from __future__ import annotations

from pathlib import Path

RECORDED = Path(__file__).parent / "fixtures"


def pytest_generate_tests(metafunc) -> None:
    """``chat_stream``, ``text_stream``: the path of each recorded stream; its JSON is beside it."""
    for kind in ("chat", "text"):
        if f"{kind}_stream" in metafunc.fixturenames:
            paths = sorted((RECORDED / kind).glob("*.sse"))
            metafunc.parametrize(f"{kind}_stream", paths, ids=[path.stem for path in paths])
