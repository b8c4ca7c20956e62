"""Embeddings as Ollama's clients ask for them: /api/embed, and the older /api/embeddings (TRANSLATION §19)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from switchgear.errors import InvalidRequest
from switchgear.providers.embeddings import EmbeddingRequest, read_inputs
from switchgear.providers.reading import read_request, unknown_fields

if TYPE_CHECKING:
    from switchgear.providers.embeddings import EmbeddingReply


class _Embed(Struct):
    input: str | list[Any]
    model: str = ""
    dimensions: int | None = None


class _Embedding(Struct):
    prompt: str
    model: str = ""


_embed = msgspec.json.Decoder(_Embed)
_embedding = msgspec.json.Decoder(_Embedding)
_EMBED_KNOWN = frozenset(_Embed.__struct_fields__)
_EMBEDDING_KNOWN = frozenset(_Embedding.__struct_fields__)
_encode = msgspec.json.Encoder().encode


def decode_request(body: bytes, model: str, *, single: bool) -> EmbeddingRequest:
    """Read a request. single: of /api/embeddings. Raises `InvalidRequest` with `param` set."""
    if single:
        prompt = read_request(_embedding, body).prompt
        own = tuple(unknown_fields(body, _EMBEDDING_KNOWN) or ())
        return EmbeddingRequest(model, [prompt], single=True, own=own)
    request = read_request(_embed, body)
    if request.dimensions is not None and request.dimensions < 1:
        raise InvalidRequest("'dimensions' must be at least 1.", param="dimensions", code="integer_below_min_value")
    own = tuple(unknown_fields(body, _EMBED_KNOWN) or ())
    return EmbeddingRequest(model, read_inputs(request.input), dimensions=request.dimensions, own=own)


def encode_response(reply: EmbeddingReply, request: EmbeddingRequest, model: str, elapsed_ns: int) -> bytes:
    """Ollama's answer: `embedding` for /api/embeddings, `embeddings` else. elapsed_ns: since the request came."""
    if request.single:
        return _encode({"embedding": reply.vectors[0]})
    body: dict[str, Any] = {"model": model or reply.model, "embeddings": reply.vectors}
    if elapsed_ns > 0:
        body["total_duration"] = elapsed_ns
    if reply.tokens is not None:
        body["prompt_eval_count"] = reply.tokens
    return _encode(body)
