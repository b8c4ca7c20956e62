"""Which passage each client endpoint takes at a provider: the table of `passage`'s docstring, once per upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchgear.providers.quirks import REPLY_QUIRKS
from switchgear.upstream.counting import CountTokens
from switchgear.upstream.embedding import TranslatedEmbeddings
from switchgear.upstream.native import NativeAnthropic, NativeGemini, NativeOllama
from switchgear.upstream.passage import Passage, Unserved
from switchgear.upstream.repaired import STRICT_QUIRKS, ForeignResponses, RepairedChat
from switchgear.upstream.translated import TranslatedConversation
from switchgear.upstream.translated_ollama import OllamaConversation

if TYPE_CHECKING:
    from switchgear.upstream.upstream import Upstream

# Client endpoints that can be translated, by the format the client speaks. Names as in `server.routes`.
CONVERSATIONS = {
    "chat.completions": "chat",
    "completions": "completions",
    "responses": "responses",
    "messages": "anthropic",
    "gemini.generateContent": "gemini",
    "gemini.streamGenerateContent": "gemini",
    "ollama.chat": "ollama",
    "ollama.generate": "ollama-generate",
}
COUNTS = ("responses.input_tokens", "messages.count_tokens", "gemini.countTokens")
EMBEDDINGS = {
    "embeddings": "openai",
    "gemini.embedContent": "gemini",
    "gemini.batchEmbedContents": "gemini",
    "ollama.embed": "ollama",
    "ollama.embeddings": "ollama",
}
STORED_RESPONSES = ("retrieve", "delete", "cancel", "input_items", "compact")
_REPAIRS = frozenset(REPLY_QUIRKS) | STRICT_QUIRKS
_GENERIC = frozenset(("openai", "vllm", "llama-cpp", "ollama"))


def equip(upstream: Upstream) -> None:
    """Give an upstream its passages."""
    native = "chat" if upstream.wire in ("openai", "azure") else upstream.wire
    spoken = "responses" if native == "chat" and upstream.provider.responses == "always" else native
    passages: dict[str, Passage] = {}
    histories: dict[str, Passage] = {"responses": ForeignResponses()} if native == "chat" else {}
    for name, client in CONVERSATIONS.items():
        passage = _conversation(client, spoken, upstream)
        if passage is not None:
            passages[name] = passage
    for name, client in EMBEDDINGS.items():
        if native == "gemini" and client == "gemini":
            passages[name] = NativeGemini()
        elif native == "ollama" and client == "ollama":
            passages[name] = NativeOllama()
        elif native in ("gemini", "ollama"):
            passages[name] = TranslatedEmbeddings("gemini" if native == "gemini" else "ollama")
        elif native == "chat" and client != "openai":
            passages[name] = TranslatedEmbeddings("openai")
    for name in COUNTS:
        if name != "responses.input_tokens" or upstream.row.name != "openai" or not upstream.responses:
            passages[name] = CountTokens()
    if native != "chat":
        upstream.passage = Unserved()
    else:
        if not upstream.responses:
            passages |= {f"responses.{name}": Unserved() for name in STORED_RESPONSES}
        histories["chat.completions"] = RepairedChat(upstream.row.quirks)
        upstream.proofless = not _generic(upstream) and "replays_reasoning_details" not in upstream.row.quirks
    upstream.passages, upstream.histories = passages, histories


def _generic(upstream: Upstream) -> bool:
    """Whether nobody knows what stands behind an address: `reasoning_details` may be its own (OpenRouter's are)."""
    return upstream.provider.base_url is not None and upstream.row.name in _GENERIC


def _conversation(client: str, native: str, upstream: Upstream) -> Passage | None:
    """None: the bytes pass as they are."""
    if client == "responses" and upstream.responses and native in ("chat", "responses"):
        return None
    if client == "completions" and native in ("chat", "responses"):
        return None
    if client in ("ollama", "ollama-generate"):
        return NativeOllama() if native == "ollama" else OllamaConversation(client, native)
    if client != native:
        return TranslatedConversation(client, native)
    if client == "anthropic":
        return NativeAnthropic()
    if client == "gemini":
        return NativeGemini()
    quirks = upstream.row.quirks
    return RepairedChat(quirks) if upstream.provider.repair and quirks & _REPAIRS else None
