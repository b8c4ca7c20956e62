"""Recorded exchanges, read from a folder outside the repository.

The folder is `SWITCHGEAR_RECORDINGS`, by default `../shared/recordings` beside the repository. It is optional material:
without it the tests that use it say so and check nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(os.environ.get("SWITCHGEAR_RECORDINGS") or Path(__file__).parents[2].parent / "shared" / "recordings")
CHAT_APIS = {
    "chat.completions": "openai_chat",
    "responses": "openai_responses",
    "messages": "anthropic",
    "messages.vertex": "anthropic",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "ollama.chat": "ollama",
    "ollama.generate": "ollama",
}


def index() -> list[dict[str, Any]]:
    """Every exchange's line of INDEX.jsonl; nothing when the folder is absent."""
    path = ROOT / "INDEX.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def expected() -> dict[str, dict[str, Any]]:
    """The answer that a chat client must end up with, by the exchange's id."""
    path = ROOT / "EXPECTED.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {row["id"]: row["view"] for row in rows}


def load(exchange: str) -> dict[str, Any]:
    """One exchange."""
    loaded: dict[str, Any] = json.loads((ROOT / f"{exchange}.json").read_text())
    return loaded
