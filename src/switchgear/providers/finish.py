"""Why an answer ended, in every vendor's words (TRANSLATION §11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switchgear.wire.conversation import Finish

FROM_ANTHROPIC: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "stop",
    "refusal": "content_filter",
    "compaction": "length",
}
_FILTERED = (
    "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR", "ESCALATION", "PUP_LIMITED_DISABLED",
)  # fmt: skip
FROM_GEMINI: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(_FILTERED, "content_filter"),
}
# Reasons whose only explanation is finishMessage: it becomes the text of an answer that has none.
GEMINI_MALFORMED = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
# The enum as old Google stacks send it (google.ai.generativelanguage.v1beta.Candidate.FinishReason).
_GEMINI_NUMBERS = (
    "FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "LANGUAGE", "BLOCKLIST",
    "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY",
)  # fmt: skip
FROM_CHAT: dict[str, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
}
TO_ANTHROPIC: dict[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "error": "end_turn",
}
TO_GEMINI: dict[Finish, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "error": "OTHER",
}
# Ollama's own words are stop, length, load and unload: an answer that a filter cut is called by chat's.
TO_OLLAMA: dict[Finish, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "stop",
    "content_filter": "content_filter",
    "error": "error",
}


def gemini_word(reason: str | int | None) -> str:
    """A finish reason by name; old stacks send its number. "" when absent."""
    if isinstance(reason, int):
        return _GEMINI_NUMBERS[reason] if 0 <= reason < len(_GEMINI_NUMBERS) else "OTHER"
    return reason or ""


def chat_finish(word: str | None, has_calls: bool) -> Finish:
    """Chat's finish reason; an answer with calls that says `stop` or nothing ended for its calls."""
    finish = FROM_CHAT.get(word, "stop") if word else "stop"
    return "tool_calls" if has_calls and finish == "stop" else finish
