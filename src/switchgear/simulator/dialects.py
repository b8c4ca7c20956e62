"""Whose dialect a request is in, told by its path and headers; and what each vendor says where no handler speaks.

gemini      …/models/{model}:method, /v1beta/models…; /v1/models with an `x-goog-api-key`
anthropic   …/messages…; /v1/models with an `anthropic-version`
ollama      /api/… but for /api/v1, which is OpenRouter's base
openai      everything else
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

from msgspec import Struct

from switchgear.errors import GatewayError
from switchgear.simulator import anthropic_errors, gemini_errors, ollama_errors, openai_errors
from switchgear.simulator.answer import Answer, Headers
from switchgear.simulator.exchange import NOT_JSON, Exchange
from switchgear.simulator.gemini_paths import METHOD, path_model
from switchgear.simulator.http import Head

_GEMINI = re.compile(r"/+v1(?:beta|alpha|beta1)(?!/openai(?:/|$))(?:/|$)")
_ANTHROPIC = re.compile(r"(?:/+v1)*/+messages(?:/.*)?")
_OLLAMA = re.compile(r"/+api/(?!v1(?:/|$)).*")
_MODELS = re.compile(r"/+v1/models(?:/.*)?")


def _no_model(raw_path: str) -> str:
    return ""


class Dialect(Struct, frozen=True):
    """What one vendor says where no handler speaks.

    error: to a request that was refused; status: for the fault of that name; error_in_200: likewise; rejected: to a
    missing or wrong key; headers: what each answer has; not_json: the message for a body that is not JSON;
    path_model: the model named in a path as it came, or "".
    """

    name: str
    error: Callable[[Exchange, GatewayError], Answer]
    status: Callable[[Exchange], Answer]
    error_in_200: Callable[[Exchange], Answer]
    rejected: Callable[[Exchange], Answer]
    headers: Callable[[Exchange], Headers]
    not_json: str
    path_model: Callable[[str], str] = _no_model


OPENAI = Dialect(
    "openai",
    openai_errors.error,
    openai_errors.status,
    openai_errors.error_in_200,
    openai_errors.rejected,
    openai_errors.headers,
    NOT_JSON,
)
ANTHROPIC = Dialect(
    "anthropic",
    anthropic_errors.error,
    anthropic_errors.status,
    anthropic_errors.error_in_200,
    anthropic_errors.rejected,
    anthropic_errors.headers,
    anthropic_errors.NOT_JSON,
)
GEMINI = Dialect(
    "gemini",
    gemini_errors.error,
    gemini_errors.status,
    gemini_errors.error_in_200,
    gemini_errors.rejected,
    gemini_errors.headers,
    gemini_errors.NOT_JSON,
    path_model,
)
OLLAMA = Dialect(
    "ollama",
    ollama_errors.error,
    ollama_errors.status,
    ollama_errors.error_in_200,
    ollama_errors.rejected,
    ollama_errors.headers,
    ollama_errors.NOT_JSON,
)


def of(head: Head) -> Dialect:
    """The dialect of a request with this head."""
    if head.dialect is None:
        head.dialect = _of(head)
    return cast("Dialect", head.dialect)


def _of(head: Head) -> Dialect:
    path = head.raw_path
    if _GEMINI.match(path) or METHOD.search(path):
        return GEMINI
    if _ANTHROPIC.fullmatch(path):
        return ANTHROPIC
    if _OLLAMA.fullmatch(path):
        return OLLAMA
    if _MODELS.fullmatch(path):
        if head.header(b"anthropic-version") is not None:
            return ANTHROPIC
        if head.header(b"x-goog-api-key") is not None:
            return GEMINI
    return OPENAI
