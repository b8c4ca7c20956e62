"""The paths of Anthropic's, Gemini's and Ollama's clients, and which dialect a path speaks.

Gemini names the model and the method in the path (`/v1beta/models/{model}:{method}`), and its key may stand in the
query (`?key=`): the key is read for authentication and goes no further.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlencode

from msgspec import Struct

from switchgear.types import Dialect, Endpoint

MESSAGES = Endpoint(
    "messages",
    "/messages",
    required=("messages",),
    sse="anthropic",
    dialect="anthropic",
    wire="anthropic",
    task="conversation",
)
COUNT_TOKENS = Endpoint(
    "messages.count_tokens",
    "/messages/count_tokens",
    required=("messages",),
    dialect="anthropic",
    wire="anthropic",
    task="count",
)

GEMINI: dict[str, Endpoint] = {
    "generateContent": Endpoint(
        "gemini.generateContent", ":generateContent", dialect="gemini", wire="gemini", task="conversation", sse="gemini"
    ),
    "streamGenerateContent": Endpoint(
        "gemini.streamGenerateContent",
        ":streamGenerateContent",
        dialect="gemini",
        wire="gemini",
        task="conversation",
        sse="gemini",
    ),
    "countTokens": Endpoint("gemini.countTokens", ":countTokens", dialect="gemini", wire="gemini", task="count"),
    "embedContent": Endpoint(
        "gemini.embedContent", ":embedContent", dialect="gemini", wire="gemini", task="embeddings"
    ),
    "batchEmbedContents": Endpoint(
        "gemini.batchEmbedContents", ":batchEmbedContents", dialect="gemini", wire="gemini", task="embeddings"
    ),
}

OLLAMA: dict[str, Endpoint] = {
    "/api/chat": Endpoint(
        "ollama.chat",
        "/api/chat",
        sse="ollama",
        answers="object",
        dialect="ollama",
        wire="ollama",
        task="conversation",
        streams=True,
    ),
    "/api/generate": Endpoint(
        "ollama.generate",
        "/api/generate",
        sse="ollama",
        answers="object",
        dialect="ollama",
        wire="ollama-generate",
        task="conversation",
        streams=True,
    ),
    "/api/embed": Endpoint(
        "ollama.embed", "/api/embed", answers="object", dialect="ollama", wire="ollama", task="embeddings"
    ),
    "/api/embeddings": Endpoint(
        "ollama.embeddings", "/api/embeddings", answers="object", dialect="ollama", wire="ollama", task="embeddings"
    ),
}

# google-genai 3.x uses /v1, 1.x and 2.x /v1beta, litellm no version at all (TRANSLATION §18).
_GEMINI_PATH = re.compile(r"(?:/v1(?:beta|alpha)?)?/models/(?P<model>.{1,512}):(?P<method>[A-Za-z]+)")
_ANTHROPIC_PATH = re.compile(r"/v1/(?:v1/)?messages(?:/|$)")
# Below /api, but for the gateway's own management API (`/api/v1`, `/api/schema`).
_OLLAMA_PATH = re.compile(r"/api(?:$|/(?!(?:v\d+|schema)(?:/|$)))")
_GEMINI_ONLY = re.compile(r"/v1(?:beta|alpha)(?:/|$)|/models/[^:]+:[A-Za-z]+$")


class GeminiCall(Struct, frozen=True):
    """A Gemini request line. query: without the key. array: a stream is wanted as one JSON array."""

    endpoint: Endpoint
    model: str
    query: bytes
    key: bytes
    stream: bool
    array: bool


def gemini_call(method: str, path: str, query: bytes) -> GeminiCall | None:
    """The Gemini method that `path` names, None when it names none."""
    match = _GEMINI_PATH.fullmatch(path) if method == "POST" else None
    endpoint = GEMINI.get(match["method"]) if match is not None else None
    if match is None or endpoint is None:
        return None
    key, rest, alt = split_query(query)
    stream = endpoint.name == "gemini.streamGenerateContent"
    return GeminiCall(endpoint, unquote(match["model"]), rest, key, stream, stream and alt != "sse")


def split_query(query: bytes) -> tuple[bytes, bytes, str]:
    """(the key, the query without it and without `alt`, the value of `alt`)."""
    if not query:
        return b"", b"", ""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    named = dict(reversed(pairs))
    rest = urlencode([pair for pair in pairs if pair[0] not in ("key", "alt", "$alt")])
    return named.get("key", "").encode("latin-1", "replace"), rest.encode(), named.get("alt", named.get("$alt", ""))


def dialect_of(path: str, anthropic_version: bool) -> Dialect:
    """In whose words an error on this path is told. anthropic_version: the client sent that header."""
    if _ANTHROPIC_PATH.match(path) or (anthropic_version and path.startswith("/v1/models")):
        return "anthropic"
    if _OLLAMA_PATH.match(path):
        return "ollama"
    return "gemini" if _GEMINI_ONLY.match(path) or _GEMINI_PATH.fullmatch(path) else "openai"
