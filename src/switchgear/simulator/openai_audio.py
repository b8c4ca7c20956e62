"""POST /v1/audio/speech, transcriptions, translations."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import orjson

from switchgear.errors import InvalidRequest
from switchgear.simulator import samples, text
from switchgear.simulator.answer import DONE, Answer, Burst, json_answer, sse, stream_answer
from switchgear.simulator.exchange import Exchange
from switchgear.simulator.validation import Rule, check, not_among, require

_SPEECH = {
    "mp3": (b"audio/mpeg", samples.mp3),
    "wav": (b"audio/wav", samples.wav),
    "pcm": (b"audio/pcm", samples.pcm),
}
_FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
_SECONDS_PER_TOKEN = 0.25


def speech(exchange: Exchange) -> Answer:
    """Silence in the format asked for: mp3 (default), wav, pcm. Raises `InvalidRequest`, `NotFound`."""
    exchange.require_model()
    for name in ("input", "voice"):
        require(exchange.json, name)
    check(exchange.json, {"input": Rule("a string"), "speed": Rule("a decimal", 0.25, 4)})
    wanted = exchange.json.get("response_format") or "mp3"
    if wanted not in _SPEECH:
        raise not_among("response_format", wanted, tuple(_SPEECH))
    content_type, sample = _SPEECH[wanted]
    if exchange.json.get("stream_format") == "sse":
        return stream_answer(_speech_events(sample()))
    data = sample()
    middle = len(data) // 2
    return Answer(content_type=content_type, bursts=iter([(data[:middle],), (data[middle:],)]))


def _speech_events(data: bytes) -> Iterator[Burst]:
    delta = {"type": "speech.audio.delta", "audio": base64.b64encode(data).decode("ascii")}
    usage = {"input_tokens": 4, "output_tokens": 8, "total_tokens": 12}
    yield (sse(orjson.dumps(delta)),)
    yield (sse(orjson.dumps({"type": "speech.audio.done", "usage": usage})),)


def transcriptions(exchange: Exchange) -> Answer:
    """multipart with `file` and `model`. Raises `InvalidRequest`, `NotFound`."""
    return _written(exchange, "transcribe")


def translations(exchange: Exchange) -> Answer:
    """As `transcriptions`, into English."""
    return _written(exchange, "translate")


def _written(exchange: Exchange, task: str) -> Answer:
    exchange.require_model()
    if exchange.form.upload("file") is None:
        raise InvalidRequest("Missing required parameter: 'file'.", param="file", code="missing_required_parameter")
    wanted = exchange.form.text("response_format") or "json"
    if wanted not in _FORMATS:
        raise not_among("response_format", wanted, _FORMATS)
    count, seed = exchange.behaviour.tokens, exchange.settings.seed
    words = text.sentence(count, seed)
    seconds = count * _SECONDS_PER_TOKEN
    if exchange.form.text("stream") == "true":
        return stream_answer(_transcript_events(exchange, words))
    if wanted in ("text", "srt", "vtt"):
        return Answer(_plain(wanted, words, seconds).encode(), content_type=b"text/plain; charset=utf-8")
    usage = {"type": "duration", "seconds": int(seconds)}
    if wanted == "json":
        return json_answer({"text": words, "usage": usage})
    if wanted == "diarized_json":
        segment = {"type": "transcript.text.segment", "id": "seg_0", "start": 0.0, "end": seconds, "text": words}
        listed = [{**segment, "speaker": "A"}]
        return json_answer({"task": task, "duration": seconds, "text": words, "segments": listed, "usage": usage})
    return json_answer(
        {
            "task": task,
            "language": "english",
            "duration": seconds,
            "text": words,
            "segments": [
                {
                    "id": 0,
                    "seek": 0,
                    "start": 0.0,
                    "end": seconds,
                    "text": words,
                    "tokens": list(range(count)),
                    "temperature": 0.0,
                    "avg_logprob": -0.1,
                    "compression_ratio": 1.0,
                    "no_speech_prob": 0.01,
                }
            ],
            "usage": usage,
        }
    )


def _plain(wanted: str, words: str, seconds: float) -> str:
    if wanted == "text":
        return words + "\n"
    whole, part = int(seconds), round(seconds % 1 * 1000)
    end = f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
    if wanted == "srt":
        return f"1\n00:00:00,000 --> {end},{part:03}\n{words}\n\n"
    return f"WEBVTT\n\n00:00:00.000 --> {end}.{part:03}\n{words}\n\n"


def _transcript_events(exchange: Exchange, words: str) -> Iterator[Burst]:
    for piece in text.tokens(exchange.behaviour.tokens, exchange.settings.seed):
        yield (sse(orjson.dumps({"type": "transcript.text.delta", "delta": piece})),)
    usage = {
        "type": "tokens",
        "input_tokens": 8,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 8},
        "output_tokens": exchange.behaviour.tokens,
        "total_tokens": 8 + exchange.behaviour.tokens,
    }
    yield (sse(orjson.dumps({"type": "transcript.text.done", "text": words, "usage": usage})), DONE)
