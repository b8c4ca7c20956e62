"""Path and method → handler, and nothing else.

Paths are below the base, which is `/v1` as OpenAI's, or one of the bases that clients and vendors write.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from msgspec import Struct

from switchgear.errors import MethodNotAllowed, NotFound
from switchgear.simulator import (
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

IMAGE_FILE = Route(openai_images.file)


def find(method: str, raw_path: str) -> tuple[Route, str]:
    """(route, identifier in the path or ""). A HEAD request takes the route of GET.

    Raises `NotFound` for an unknown path and `MethodNotAllowed` for a method that it does not take.
    """
    based = BASES.match(raw_path)
    path = raw_path[based.end() :] if based else ""
    routes, identifier = FIXED.get(path.rstrip("/")), ""
    if routes is None:
        for pattern, candidates in WITH_ID:
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
