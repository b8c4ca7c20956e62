"""POST /v1/images/generations, edits, variations: a tiny PNG, inline or by URL; and the file behind that URL."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import orjson

from switchgear.errors import InvalidRequest
from switchgear.simulator import samples
from switchgear.simulator.answer import Answer, Burst, json_answer, sse, stream_answer
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.validation import Rule, check, not_among, require

_RULES = {
    "prompt": Rule("a string"),
    "n": Rule("an integer", 1, 10),
    "size": Rule("a string"),
    "stream": Rule("a boolean"),
}
_USAGE = {
    "input_tokens": 8,
    "output_tokens": 16,
    "total_tokens": 24,
    "input_tokens_details": {"text_tokens": 8, "image_tokens": 0},
}


def generations(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    model = exchange.require_model(default="dall-e-2")
    check(exchange.json, _RULES)
    prompt = require(exchange.json, "prompt")
    wanted = exchange.json.get("response_format") or _default_format(model)
    if exchange.json.get("stream"):
        return stream_answer(_stream(exchange, "image_generation"))
    return _images(exchange, int(exchange.json.get("n") or 1), wanted, prompt)


def edits(exchange: Exchange) -> Answer:
    """multipart with `image` and `prompt`, or JSON with `images`. Raises `InvalidRequest`, `NotFound`."""
    model = exchange.require_model(default="dall-e-2")
    if exchange.json:
        check(exchange.json, _RULES)
        prompt = require(exchange.json, "prompt")
        return _images(exchange, int(exchange.json.get("n") or 1), _default_format(model), prompt)
    _require_upload(exchange)
    prompt = exchange.form.text("prompt")
    if not prompt:
        raise InvalidRequest("Missing required parameter: 'prompt'.", param="prompt", code="missing_required_parameter")
    if exchange.form.text("stream") == "true":
        return stream_answer(_stream(exchange, "image_edit"))
    return _images(exchange, _count(exchange), exchange.form.text("response_format") or _default_format(model), prompt)


def variations(exchange: Exchange) -> Answer:
    """multipart with `image`. Raises `InvalidRequest`, `NotFound`."""
    exchange.require_model(default="dall-e-2")
    _require_upload(exchange)
    return _images(exchange, _count(exchange), exchange.form.text("response_format") or "url", None)


def file(exchange: Exchange) -> Answer:
    """The picture that the URLs point to."""
    return Answer(samples.png(), content_type=b"image/png")


def _default_format(model: str) -> str:
    return "url" if model.startswith("dall-e") else "b64_json"


def _require_upload(exchange: Exchange) -> None:
    if exchange.form.upload("image") is None:
        raise InvalidRequest("Missing required parameter: 'image'.", param="image", code="missing_required_parameter")


def _count(exchange: Exchange) -> int:
    given = exchange.form.text("n") or "1"
    if not given.isdigit() or not 1 <= int(given) <= 10:
        raise InvalidRequest(f"Invalid value for 'n': '{given}'.", param="n", code="invalid_value")
    return int(given)


def _images(exchange: Exchange, count: int, wanted: str, prompt: str | None) -> Answer:
    if wanted not in ("url", "b64_json"):
        raise not_among("response_format", wanted, ("url", "b64_json"))
    host = next((value.decode("latin-1") for name, value in exchange.head.headers if name == b"host"), "127.0.0.1")
    picture: Json = (
        {"url": f"http://{host}/_sim/image.png"}
        if wanted == "url"
        else {"b64_json": base64.b64encode(samples.png()).decode("ascii")}
    )
    if prompt is not None:
        picture["revised_prompt"] = prompt
    return json_answer({"created": exchange.now, "data": [picture] * count, "usage": _USAGE})


def _stream(exchange: Exchange, stem: str) -> Iterator[Burst]:
    kind = f"{stem}.completed"
    event = {
        "type": kind,
        "b64_json": base64.b64encode(samples.png()).decode("ascii"),
        "created_at": exchange.now,
        "size": "1024x1024",
        "quality": "high",
        "background": "opaque",
        "output_format": "png",
        "usage": _USAGE,
    }
    yield (sse(orjson.dumps(event), kind.encode()),)
