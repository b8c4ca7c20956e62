"""How a simulator is set up: what `switchgear simulate` takes as options, in one struct."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from switchgear.config.values import Secret

DEFAULT_MODELS = (
    "sim",
    "sim-mini",
    "sim-embedding",
    "sim-moderation",
    "sim-image",
    "sim-speech",
    "sim-transcribe",
    "sim-rerank",
)


class SimulatorSettings(Struct, frozen=True, kw_only=True):
    """Options of one simulator.

    port: 0 takes any free one. first_token_s: wait before the first token of a stream, and before an answer that is not
        streamed. gap_s: wait between two tokens of a stream. jitter: share of both that varies at random (0.2: ±20 %).
    tokens: length of a generated answer. api_key: to ask for, as each format carries it; None asks for none.
    models: names that exist; empty means that every name does, and `/v1/models` lists `DEFAULT_MODELS`.
    recordings: folder of recorded exchanges. replay_split: bytes per write of a replayed stream; 0 cuts at event ends.
    seed: generated text, jitter and probabilities follow from it.
    max_body_bytes, max_head_bytes: a longer request is answered 413 or 431.
    journal_requests, journal_body_bytes: how many requests are remembered, and how much of each body.
    stored_objects, stored_bytes: caps on responses, files and batches kept: how many of each, and their bytes in all.
    """

    host: str = "127.0.0.1"
    port: int = 0
    first_token_s: float = 0.0
    gap_s: float = 0.0
    jitter: float = 0.0
    tokens: int = 16
    api_key: Secret | None = None
    models: tuple[str, ...] = ()
    recordings: Path | None = None
    replay_split: int = 0
    seed: int = 0
    max_body_bytes: int = 64 * 1024 * 1024
    max_head_bytes: int = 64 * 1024
    journal_requests: int = 1000
    journal_body_bytes: int = 32 * 1024
    stored_objects: int = 1000
    stored_bytes: int = 256 * 1024 * 1024

    @property
    def listed_models(self) -> tuple[str, ...]:
        """What `GET /v1/models` shows."""
        return self.models or DEFAULT_MODELS
