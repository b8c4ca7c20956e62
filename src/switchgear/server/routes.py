"""Path to endpoint: the OpenAI, Anthropic and Ollama surfaces, as data (Gemini's: `dialects`).

What reaches an upstream, and nothing else.

`EXACT` holds fixed paths, `PATTERNS` those with an identifier. `UNSUPPORTED` are paths that OpenAI or Ollama serves and
this gateway does not: they answer 501, so that a client's author sees a missing feature, not a typing error.
"""

from __future__ import annotations

import re

from switchgear.server.dialects import COUNT_TOKENS, MESSAGES, OLLAMA
from switchgear.types import Endpoint

_CHAT = Endpoint(
    "chat.completions",
    "/chat/completions",
    required=("messages",),
    sse="chat",
    asks_usage=True,
    answers="object",
    fast=True,
    wire="chat",
    task="conversation",
)

EXACT: dict[str, dict[str, Endpoint]] = {
    "/v1/chat/completions": {"POST": _CHAT},
    "/v1/completions": {
        "POST": Endpoint(
            "completions",
            "/completions",
            required=("prompt",),
            sse="chat",
            asks_usage=True,
            wire="completions",
            task="conversation",
            answers="object",
        )
    },
    "/v1/responses": {
        "POST": Endpoint(
            "responses", "/responses", sse="responses", answers="object", wire="responses", task="conversation"
        )
    },
    "/v1/responses/input_tokens": {
        "POST": Endpoint(
            "responses.input_tokens", "/responses/input_tokens", answers="object", wire="responses", task="count"
        )
    },
    "/v1/responses/compact": {"POST": Endpoint("responses.compact", "/responses/compact", answers="object")},
    "/v1/embeddings": {
        "POST": Endpoint("embeddings", "/embeddings", answers="object", fast=True, wire="chat", task="embeddings")
    },
    "/v1/messages": {"POST": MESSAGES},
    "/v1/messages/count_tokens": {"POST": COUNT_TOKENS},
    # A client whose base URL ends in /v1 although its SDK adds that itself (TRANSLATION §18).
    "/v1/v1/messages": {"POST": MESSAGES},
    "/v1/v1/messages/count_tokens": {"POST": COUNT_TOKENS},
    "/v1/moderations": {
        "POST": Endpoint("moderations", "/moderations", required=("input",), answers="object", model="optional")
    },
    "/v1/rerank": {"POST": Endpoint("rerank", "/rerank")},
    "/v1/images/generations": {
        "POST": Endpoint("images.generations", "/images/generations", required=("prompt",), model="optional")
    },
    "/v1/images/edits": {"POST": Endpoint("images.edits", "/images/edits", "multipart", model="optional")},
    "/v1/images/variations": {
        "POST": Endpoint("images.variations", "/images/variations", "multipart", model="optional")
    },
    "/v1/audio/speech": {"POST": Endpoint("audio.speech", "/audio/speech", required=("input",), gather=False)},
    "/v1/audio/transcriptions": {"POST": Endpoint("audio.transcriptions", "/audio/transcriptions", "multipart")},
    "/v1/audio/translations": {"POST": Endpoint("audio.translations", "/audio/translations", "multipart")},
    "/v1/files": {
        "POST": Endpoint("files.create", "/files", "stream", model="none"),
        "GET": Endpoint("files.list", "/files", "none", model="none"),
    },
    "/v1/batches": {
        "POST": Endpoint("batches.create", "/batches", model="none"),
        "GET": Endpoint("batches.list", "/batches", "none", model="none"),
    },
    **{path: {"POST": endpoint} for path, endpoint in OLLAMA.items()},
}

IDENTIFIER = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.:~-]{1,256}"  # not `.` or `..`: whoever resolves those leaves the endpoint

PATTERNS: list[tuple[re.Pattern[str], dict[str, Endpoint]]] = [
    (
        re.compile(rf"/v1/files/{IDENTIFIER}"),
        {
            "GET": Endpoint("files.retrieve", "", "none", model="none"),
            "DELETE": Endpoint("files.delete", "", "none", model="none"),
        },
    ),
    (
        re.compile(rf"/v1/files/{IDENTIFIER}/content"),
        {"GET": Endpoint("files.content", "", "none", model="none", gather=False)},
    ),
    (re.compile(rf"/v1/batches/{IDENTIFIER}"), {"GET": Endpoint("batches.retrieve", "", "none", model="none")}),
    (re.compile(rf"/v1/batches/{IDENTIFIER}/cancel"), {"POST": Endpoint("batches.cancel", "", "none", model="none")}),
    (
        re.compile(rf"/v1/responses/{IDENTIFIER}"),
        {
            "GET": Endpoint("responses.retrieve", "", "none", sse="responses", model="none"),
            "DELETE": Endpoint("responses.delete", "", "none", model="none"),
        },
    ),
    (
        re.compile(rf"/v1/responses/{IDENTIFIER}/cancel"),
        {"POST": Endpoint("responses.cancel", "", "none", model="none")},
    ),
    (
        re.compile(rf"/v1/responses/{IDENTIFIER}/input_items"),
        {"GET": Endpoint("responses.input_items", "", "none", model="none")},
    ),
]

UNSUPPORTED = re.compile(
    r"/v1/(assistants|threads|vector_stores|fine_tuning|uploads|videos|evals|containers|conversations|organization|"
    r"projects|realtime|skills|chatkit|audio/voices|audio/voice_consents|chat/completions/|content_provenance_checks)"
    r"|/api/(pull|push|create|copy|delete|blobs|me|signout|web_search|web_fetch)(?:/|$)"
)

MODELS = "/v1/models"


def find(method: str, path: str) -> tuple[Endpoint | None, dict[str, Endpoint] | None]:
    """The endpoint of `method` on `path`, and all methods of that path (None: unknown path)."""
    methods = EXACT.get(path)
    if methods is None:
        methods = next((methods for pattern, methods in PATTERNS if pattern.fullmatch(path)), None)
    return (methods.get(method) if methods else None), methods
