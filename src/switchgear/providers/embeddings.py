"""Embeddings between OpenAI, Gemini and Ollama (TRANSLATION §19).

1. `decode_openai_request` and `decode_gemini_request` read what a client asks for into `EmbeddingRequest` (Ollama's:
   `ollama_embeddings`).
2. `encode_requests` writes it for an upstream: as many bodies as its batch limit takes, in the order of the inputs.
3. `decode_reply` reads each answer; `join` puts them together in order.
4. `encode_openai_response` and `encode_gemini_response` write the answer; vectors as floats or base64 of little-endian
   float32, as the client asked.
"""

from __future__ import annotations

import array
import base64
import binascii
import sys
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from switchgear.errors import InvalidRequest, UpstreamProtocolError
from switchgear.providers.dialects.gemini_names import camelised
from switchgear.providers.identifiers import new_id
from switchgear.providers.reading import read_reply, read_request, unknown_fields
from switchgear.wire.conversation import ABSENT

EmbeddingFormat = Literal["openai", "gemini", "ollama"]
# Inputs in one request: OpenAI's and Gemini's documented bounds; Ollama has none, so ours keeps bodies small.
BATCH_LIMITS: dict[str, int] = {"openai": 2_048, "gemini": 100, "ollama": 512}
MAX_INPUTS = 2_048
_encode = msgspec.json.Encoder().encode


class EmbeddingRequest(Struct):
    """inputs: texts, or lists of token ids. extensions: fields that only OpenAI-like upstreams know. own: names of
    fields that only the client's own format knows.

    task, title: Gemini's taskType and title. single: a Gemini client asked with :embedContent, an Ollama client with
    /api/embeddings.
    """

    model: str
    inputs: list[str | list[int]]
    base64: bool = False
    dimensions: int | None = None
    user: str | None = None
    task: str | None = None
    title: str | None = None
    single: bool = False
    extensions: dict[str, Raw] | None = None
    own: tuple[str, ...] = ()


class EmbeddingBatch(Struct):
    """One upstream request: POST `body` to `path`, for `count` inputs from the `first` on."""

    path: str
    body: bytes
    first: int
    count: int


class EmbeddingReply(Struct):
    """Vectors in the order of their inputs. tokens: None when the upstream does not count."""

    vectors: list[list[float]]
    model: str = ""
    tokens: int | None = None


class _OpenAIRequest(Struct):
    input: str | list[Any]
    model: str = ""
    encoding_format: str | None = None
    dimensions: int | None = None
    user: str | None = None


_openai_request = msgspec.json.Decoder(_OpenAIRequest)
_OPENAI_KNOWN = frozenset(_OpenAIRequest.__struct_fields__)


def decode_openai_request(body: bytes) -> EmbeddingRequest:
    """Read `POST /v1/embeddings`. Raises `InvalidRequest` with `param` set."""
    request = read_request(_openai_request, body)
    if request.encoding_format not in (None, "float", "base64"):
        raise InvalidRequest(
            "'encoding_format' must be 'float' or 'base64'.", param="encoding_format", code="invalid_value"
        )
    if request.dimensions is not None and request.dimensions < 1:
        raise InvalidRequest("'dimensions' must be at least 1.", param="dimensions", code="integer_below_min_value")
    return EmbeddingRequest(
        model=request.model,
        inputs=read_inputs(request.input),
        base64=request.encoding_format == "base64",
        dimensions=request.dimensions,
        user=request.user,
        extensions=unknown_fields(body, _OPENAI_KNOWN),
    )


def read_inputs(value: str | list[Any]) -> list[str | list[int]]:
    """One text, several, or token ids, as a list. Raises `InvalidRequest` with `param` set."""
    if isinstance(value, str):
        return [value]
    if not value:
        raise InvalidRequest("'input' must not be empty.", param="input", code="empty_array")
    if all(type(item) is int for item in value):
        return [value]
    if len(value) > MAX_INPUTS:
        raise InvalidRequest(
            f"'input' must have at most {MAX_INPUTS} items.", param="input", code="array_above_max_length"
        )
    for position, item in enumerate(value):
        tokens = isinstance(item, list) and bool(item) and all(type(token) is int for token in item)
        if not isinstance(item, str) and not tokens:
            raise InvalidRequest(
                "An input is a string or a list of token ids.", param=f"input[{position}]", code="invalid_type"
            )
    return value


class _GeminiText(Struct):
    text: str | None = None


class _GeminiContent(Struct):
    parts: list[_GeminiText] = []


class _GeminiEmbed(Struct, rename="camel"):
    content: _GeminiContent | None = None
    model: str = ""
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class _GeminiBatch(Struct):
    requests: list[_GeminiEmbed]


_gemini_embed = msgspec.json.Decoder(_GeminiEmbed)
_gemini_batch = msgspec.json.Decoder(_GeminiBatch)


def decode_gemini_request(body: bytes, model: str, *, batch: bool) -> EmbeddingRequest:
    """Read `:embedContent` or `:batchEmbedContents`. Raises `InvalidRequest` with `param` set."""
    body = camelised(body)
    items = read_request(_gemini_batch, body).requests if batch else [read_request(_gemini_embed, body)]
    if not items:
        raise InvalidRequest("requests: at least one request is needed", param="requests", code="empty_array")
    texts: list[str | list[int]] = []
    for position, item in enumerate(items):
        place = f"requests[{position}].content" if batch else "content"
        if item.content is None or any(part.text is None for part in item.content.parts):
            raise InvalidRequest(f"{place}: only text can be embedded here", param=place, code="invalid_value")
        texts.append("".join(part.text or "" for part in item.content.parts))
    first = items[0]
    if any((i.output_dimensionality, i.task_type) != (first.output_dimensionality, first.task_type) for i in items):
        raise InvalidRequest(
            "requests: all must ask for the same outputDimensionality and taskType",
            param="requests",
            code="invalid_value",
        )
    return EmbeddingRequest(
        model=model,
        inputs=texts,
        dimensions=first.output_dimensionality,
        task=first.task_type,
        title=first.title,
        single=not batch,
    )


def encode_requests(
    request: EmbeddingRequest,
    fmt: EmbeddingFormat,
    model: str,
    batch_limit: int | None = None,
    *,
    floats_only: bool = False,
) -> tuple[list[EmbeddingBatch], list[str]]:
    """(the bodies for an upstream, in order; the client's fields that it cannot express).

    batch_limit: inputs in one body, else the format's own. floats_only: an OpenAI-like upstream without base64.
    Raises `InvalidRequest` for token ids before an upstream that takes texts only.
    """
    limit = batch_limit or BATCH_LIMITS[fmt]
    dropped: list[str] = [*request.own]
    if fmt != "openai":
        if not all(isinstance(item, str) for item in request.inputs):
            raise InvalidRequest(
                "The provider that serves this model embeds text, not token ids.",
                param="input",
                code="unsupported_value",
            )
        dropped += [name for name, value in (("user", request.user),) if value is not None]
        dropped += list(request.extensions or ())
    if fmt != "gemini":
        dropped += [name for name, value in (("taskType", request.task), ("title", request.title)) if value is not None]
    batches = []
    for first in range(0, len(request.inputs), limit):
        inputs = request.inputs[first : first + limit]
        path, body = _ENCODERS[fmt](request, inputs, model, floats_only)
        batches.append(EmbeddingBatch(path, _encode(body), first, len(inputs)))
    return batches, dropped


def _to_openai(
    request: EmbeddingRequest, inputs: list[Any], model: str, floats_only: bool
) -> tuple[str, dict[str, Any]]:
    body: dict[str, Any] = {"model": model, "input": inputs}
    if not floats_only:
        body["encoding_format"] = "base64" if request.base64 else "float"
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.user is not None:
        body["user"] = request.user
    body.update(request.extensions or {})
    return "/embeddings", body


def _to_gemini(request: EmbeddingRequest, inputs: list[Any], model: str, _: bool) -> tuple[str, dict[str, Any]]:
    shared: dict[str, Any] = {"model": f"models/{model}"}
    if request.dimensions is not None:
        shared["outputDimensionality"] = request.dimensions
    if request.task is not None:
        shared["taskType"] = request.task
    if request.title is not None:
        shared["title"] = request.title
    items = [{**shared, "content": {"parts": [{"text": text}]}} for text in inputs]
    return f"/models/{model}:batchEmbedContents", {"requests": items}


def _to_ollama(request: EmbeddingRequest, inputs: list[Any], model: str, _: bool) -> tuple[str, dict[str, Any]]:
    body: dict[str, Any] = {"model": model, "input": inputs}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    return "/api/embed", body


_ENCODERS = {"openai": _to_openai, "gemini": _to_gemini, "ollama": _to_ollama}


class _Item(Struct):
    embedding: list[float] | str
    index: int | None = None


class _Counts(Struct, gc=False):
    prompt_tokens: int | None = None


class _OpenAIReply(Struct):
    data: list[_Item]
    model: str = ""
    usage: _Counts | None = None


class _Values(Struct):
    values: list[float]


class _GeminiReply(Struct):
    embeddings: list[_Values] | None = None
    embedding: _Values | None = None


class _OllamaReply(Struct):
    embeddings: list[list[float]]
    model: str = ""
    prompt_eval_count: int | None = None
    error: Raw = ABSENT


_openai_reply = msgspec.json.Decoder(_OpenAIReply)
_gemini_reply = msgspec.json.Decoder(_GeminiReply)
_ollama_reply = msgspec.json.Decoder(_OllamaReply)


def decode_reply(body: bytes, fmt: EmbeddingFormat, count: int) -> EmbeddingReply:
    """One upstream answer for `count` inputs, in their order. Raises `UpstreamProtocolError`."""
    if fmt == "openai":
        reply = read_reply(_openai_reply, body)
        items = (
            sorted(reply.data, key=lambda item: item.index or 0)
            if all(i.index is not None for i in reply.data)
            else reply.data
        )
        vectors = [item.embedding if isinstance(item.embedding, list) else floats_of(item.embedding) for item in items]
        found = EmbeddingReply(vectors, reply.model, reply.usage.prompt_tokens if reply.usage is not None else None)
    elif fmt == "gemini":
        answer = read_reply(_gemini_reply, body)
        values = (
            answer.embeddings
            if answer.embeddings is not None
            else [answer.embedding]
            if answer.embedding is not None
            else []
        )
        found = EmbeddingReply([item.values for item in values])
    else:
        native = read_reply(_ollama_reply, body)
        found = EmbeddingReply(native.embeddings, native.model, native.prompt_eval_count)
    if len(found.vectors) != count:
        raise UpstreamProtocolError(f"The upstream returned {len(found.vectors)} embeddings for {count} inputs.")
    return found


def join(replies: list[EmbeddingReply]) -> EmbeddingReply:
    """The answers of all batches, in order, as one; tokens None as soon as one batch was not counted."""
    if len(replies) == 1:
        return replies[0]
    counts = [reply.tokens for reply in replies]
    total = sum(count for count in counts if count is not None) if None not in counts else None
    return EmbeddingReply([vector for reply in replies for vector in reply.vectors], replies[0].model, total)


def base64_of(vector: list[float]) -> str:
    """Little-endian float32, base64."""
    packed = array.array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()


def floats_of(text: str) -> list[float]:
    """The vector of `base64_of`. Raises `UpstreamProtocolError`."""
    packed = array.array("f")
    try:
        packed.frombytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as exc:
        raise UpstreamProtocolError("The upstream's embedding is not base64 of float32.") from exc
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tolist()


def estimate_input_tokens(request: EmbeddingRequest) -> int:
    """For upstreams that do not count: token ids as they are, text at four bytes a token."""
    return sum(len(item) if isinstance(item, list) else -(-len(item.encode()) // 4) for item in request.inputs)


def encode_openai_response(reply: EmbeddingReply, request: EmbeddingRequest, model: str = "") -> bytes:
    """OpenAI's list, with an `id` that Mistral's SDK asks for.

    An upstream that does not count gets 0 tokens: nothing is invented for a bill.
    """
    tokens = reply.tokens or 0
    return _encode(
        {
            "id": new_id("embd-"),
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": base64_of(vector) if request.base64 else vector}
                for index, vector in enumerate(reply.vectors)
            ],
            "model": model or reply.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def encode_gemini_response(reply: EmbeddingReply, request: EmbeddingRequest) -> bytes:
    """Gemini's answer: `embedding` for :embedContent, `embeddings` for the batch."""
    if request.single:
        return _encode({"embedding": {"values": reply.vectors[0]}})
    return _encode({"embeddings": [{"values": vector} for vector in reply.vectors]})
