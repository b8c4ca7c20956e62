"""Anthropic's events to an Anthropic client: the bytes that arrived, but for the model's name (TRANSLATION §8, §14.3).

Whole events are cut out by `hotpath._sse.Rewriter`, which also sees errors. Of those, only the three that frame a
message are read: `message_start` (model, input tokens), `message_delta` (output tokens), `message_stop` (the end).
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw, Struct

from switchgear.hotpath._sse import OPAQUE, Rewriter
from switchgear.providers.formats.anthropic_reply import decode_usage
from switchgear.types import Usage
from switchgear.upstream.usage import usage_of
from switchgear.wire.anthropic import AnthropicUsage

_EVENT = re.compile(rb".*?(?:\r\n|\n)(?:\r\n|\n)", re.S)
_DATA = re.compile(rb"^data: ?(.*?)\r?$", re.M)


# What a usage object may tell; each event repeats some of it, and what it repeats has grown.
_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "output_tokens_details",
    "service_tier",
    "speed",
)


class _Message(Struct):
    usage: AnthropicUsage | None = None


class _Event(Struct):
    type: str = ""
    message: _Message | None = None
    usage: AnthropicUsage | None = None


_event = msgspec.json.Decoder(_Event)
_members = msgspec.json.Decoder(dict[str, Raw])
_counts = msgspec.json.Decoder(AnthropicUsage)
_encode = msgspec.json.Encoder().encode


def read_counts(token: bytes) -> Usage | None:
    """An Anthropic usage object (JSON text), normalised (§12); None when it is none."""
    try:
        return usage_of(decode_usage(_counts.decode(token)))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def usage_told(told: list[AnthropicUsage]) -> Usage | None:
    """What the counts say together: each is the latest that was told, not a sum."""
    latest = AnthropicUsage()
    for each in told:
        for name in _COUNTS:
            if (count := getattr(each, name)) is not None:
                setattr(latest, name, count)
    return usage_of(decode_usage(latest))


class AnthropicRelay:
    """One answer's events. model: JSON string token to put in place of the upstream's name, None to leave it."""

    def __init__(self, model: bytes | None):
        self.done = False
        self._model = model
        self._frames = Rewriter(OPAQUE)
        self._told: list[AnthropicUsage] = []

    @property
    def finished(self) -> bool:
        """`message_stop` was seen."""
        return self.done

    @property
    def started(self) -> bool:
        """An event with data was seen."""
        return self._frames.started

    @property
    def events(self) -> int:
        """Events with data so far."""
        return self._frames.events

    @property
    def error(self) -> bytes | None:
        """Data of the error event."""
        return self._frames.error

    @property
    def usage(self) -> Usage | None:
        """Tokens as told so far."""
        return usage_told(self._told) if self._told else None

    def feed(self, chunk: bytes) -> bytes:
        """What can be forwarded now. Raises ValueError for an event that is too large."""
        out = self._frames.feed(chunk)
        return self._framing(out) if b"message_" in out else out

    def flush(self) -> bytes:
        """At end of input: a pending event that is whole but for its blank line."""
        out = self._frames.flush()
        return self._framing(out) if b"message_" in out else out

    def _framing(self, events: bytes) -> bytes:
        """Events of which some may frame the message. Behind `message_stop` nothing goes on."""
        out = []
        end = 0
        for match in _EVENT.finditer(events):
            end = match.end()
            event = match[0]
            out.append(self._one(event) if b"message_" in event else event)
            if self.done:
                return b"".join(out)
        out.append(events[end:])
        return b"".join(out)

    def _one(self, event: bytes) -> bytes:
        data = b"\n".join(_DATA.findall(event))
        try:
            read = _event.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return event
        if read.type == "message_stop":
            self.done = True
        elif read.type == "message_delta" and read.usage is not None:
            self._told = [*self._told[:1], read.usage]
        elif read.type == "message_start" and read.message is not None:
            if read.message.usage is not None:
                self._told = [read.message.usage]
            if self._model is not None:
                return self._renamed(data)
        return event

    def _renamed(self, data: bytes) -> bytes:
        fields = _members.decode(data)
        message = _members.decode(fields["message"])
        if "model" in message and self._model is not None:
            message["model"] = Raw(self._model)
            fields["message"] = Raw(_encode(message))
        return b"event: message_start\ndata: %b\n\n" % _encode(fields)
