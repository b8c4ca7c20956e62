"""Path and method → handler, and nothing else.

One table per dialect. Paths are below the base, which is `/v1` as OpenAI's, or one that clients and vendors write.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from msgspec import Struct

from switchgear.errors import MethodNotAllowed, NotFound
from switchgear.simulator import (
    anthropic_messages,
    anthropic_models,
    gemini_embed,
    gemini_generate,
    gemini_models,
    gemini_paths,
    ollama_chat,
    ollama_embed,
    ollama_models,
    openai_audio,
    openai_batches,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_files,
    openai_images,
    openai_models,
    openai_moderations,
    openai_responses,
    rerank,
)
from switchgear.simulator.answer import Answer
from switchgear.simulator.exchange import Exchange

Handler = Callable[[Exchange], Answer]

BASES = re.compile(r"/+(?:openai/deployments/[^/]+|openai/v1|api/v1|v1beta/openai|v1)(?=/)")


class Route(Struct, frozen=True):
    """A handler and the body it reads: json, multipart, either, or none."""

    handler: Handler
    body: str = "none"


_JSON, _FORM, _EITHER, _NONE = "json", "multipart", "either", "none"

FIXED: dict[str, dict[str, Route]] = {
    "/chat/completions": {"POST": Route(openai_chat.answer, _JSON)},
    "/completions": {"POST": Route(openai_completions.answer, _JSON)},
    "/responses": {"POST": Route(openai_responses.create, _JSON)},
    "/embeddings": {"POST": Route(openai_embeddings.answer, _JSON)},
    "/moderations": {"POST": Route(openai_moderations.answer, _JSON)},
    "/rerank": {"POST": Route(rerank.answer, _JSON)},
    "/models": {"GET": Route(openai_models.listing)},
    "/images/generations": {"POST": Route(openai_images.generations, _JSON)},
    "/images/edits": {"POST": Route(openai_images.edits, _EITHER)},
    "/images/variations": {"POST": Route(openai_images.variations, _FORM)},
    "/audio/speech": {"POST": Route(openai_audio.speech, _JSON)},
    "/audio/transcriptions": {"POST": Route(openai_audio.transcriptions, _FORM)},
    "/audio/translations": {"POST": Route(openai_audio.translations, _FORM)},
    "/files": {"GET": Route(openai_files.listing), "POST": Route(openai_files.create, _FORM)},
    "/batches": {"GET": Route(openai_batches.listing), "POST": Route(openai_batches.create, _JSON)},
}

WITH_ID: list[tuple[re.Pattern[str], dict[str, Route]]] = [
    (
        re.compile(r"/models/(.+)"),
        {"GET": Route(openai_models.retrieve), "DELETE": Route(openai_models.delete)},
    ),
    (re.compile(r"/responses/([^/]+)/input_items"), {"GET": Route(openai_responses.input_items)}),
    (re.compile(r"/responses/([^/]+)/cancel"), {"POST": Route(openai_responses.cancel, _NONE)}),
    (
        re.compile(r"/responses/([^/]+)"),
        {"GET": Route(openai_responses.retrieve), "DELETE": Route(openai_responses.delete)},
    ),
    (re.compile(r"/files/([^/]+)/content"), {"GET": Route(openai_files.content)}),
    (re.compile(r"/files/([^/]+)"), {"GET": Route(openai_files.retrieve), "DELETE": Route(openai_files.delete)}),
    (re.compile(r"/batches/([^/]+)/cancel"), {"POST": Route(openai_batches.cancel, _NONE)}),
    (re.compile(r"/batches/([^/]+)"), {"GET": Route(openai_batches.retrieve)}),
]

ANTHROPIC_FIXED: dict[str, dict[str, Route]] = {
    "/messages": {"POST": Route(anthropic_messages.answer, _JSON)},
    "/messages/count_tokens": {"POST": Route(anthropic_messages.count_tokens, _JSON)},
    "/models": {"GET": Route(anthropic_models.listing)},
}
ANTHROPIC_WITH_ID: list[tuple[re.Pattern[str], dict[str, Route]]] = [
    (re.compile(r"/models/(.+)"), {"GET": Route(anthropic_models.retrieve)}),
]

GEMINI_FIXED: dict[str, dict[str, Route]] = {"models": {"GET": Route(gemini_models.listing)}}
GEMINI_WITH_ID: list[tuple[re.Pattern[str], dict[str, Route]]] = [
    (re.compile(r"models/(.+):generateContent"), {"POST": Route(gemini_generate.generate, _JSON)}),
    (re.compile(r"models/(.+):streamGenerateContent"), {"POST": Route(gemini_generate.stream, _JSON)}),
    (re.compile(r"models/(.+):countTokens"), {"POST": Route(gemini_generate.count, _JSON)}),
    (re.compile(r"models/(.+):embedContent"), {"POST": Route(gemini_embed.one, _JSON)}),
    (re.compile(r"models/(.+):batchEmbedContents"), {"POST": Route(gemini_embed.batch, _JSON)}),
    (re.compile(r"models/([^:]+)"), {"GET": Route(gemini_models.retrieve)}),
]

OLLAMA_FIXED: dict[str, dict[str, Route]] = {
    "/chat": {"POST": Route(ollama_chat.chat, _JSON)},
    "/generate": {"POST": Route(ollama_chat.generate, _JSON)},
    "/embed": {"POST": Route(ollama_embed.embed, _JSON)},
    "/embeddings": {"POST": Route(ollama_embed.one, _JSON)},
    "/tags": {"GET": Route(ollama_models.tags)},
    "/ps": {"GET": Route(ollama_models.running)},
    "/show": {"POST": Route(ollama_models.show, _JSON)},
    "/version": {"GET": Route(ollama_models.version)},
}


class Table(Struct, frozen=True):
    """The routes of one dialect, below its bases."""

    bases: re.Pattern[str]
    fixed: dict[str, dict[str, Route]]
    with_id: list[tuple[re.Pattern[str], dict[str, Route]]]


TABLES: dict[str, Table] = {
    "openai": Table(BASES, FIXED, WITH_ID),
    "anthropic": Table(re.compile(r"/+v1(?=/)"), ANTHROPIC_FIXED, ANTHROPIC_WITH_ID),
    "gemini": Table(gemini_paths.BASE, GEMINI_FIXED, GEMINI_WITH_ID),
    "ollama": Table(re.compile(r"/+api(?=/)"), OLLAMA_FIXED, []),
}

IMAGE_FILE = Route(openai_images.file)


def find(dialect: str, method: str, raw_path: str) -> tuple[Route, str]:
    """(route, identifier in the path or ""). A HEAD request takes the route of GET.

    Raises `NotFound` for an unknown path and `MethodNotAllowed` for a method that it does not take.
    """
    table = TABLES[dialect]
    based = table.bases.match(raw_path)
    path = raw_path[based.end() :] if based else ""
    routes, identifier = table.fixed.get(path.rstrip("/")), ""
    if routes is None:
        for pattern, candidates in table.with_id:
            found = pattern.fullmatch(path)
            if found:
                routes, identifier = candidates, unquote(found[1])
                break
    if routes is None:
        raise NotFound(f"Invalid URL ({method} {unquote(raw_path)})", code="unknown_url")
    route = routes.get("GET" if method == "HEAD" else method)
    if route is None:
        raise MethodNotAllowed(
            f"Not allowed to {method} on {unquote(raw_path)}. "
            "(HINT: Perhaps you meant to use a different HTTP method?)",
            allow=", ".join(sorted([*routes, *(["HEAD"] if "GET" in routes else [])])),
        )
    return route, identifier
