"""Recorded exchanges as a client of the gateway would make them: what to configure, what to send, what was answered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

# Recorded vendors whose `type` has another name here; the others are types of the same name.
TYPES = {"gpustack-vllm": "vllm", "ollama-cloud": "ollama", "vercel-gateway": "openai", "gemini": "openai"}

# api of a recording -> path below /v1. Only the OpenAI dialect; `models` is not relayed (see test_lists_of_models).
PATHS = {
    "chat.completions": "/chat/completions",
    "completions": "/completions",
    "responses": "/responses",
    "embeddings": "/embeddings",
    "moderations": "/moderations",
    "images.generations": "/images/generations",
    "audio.speech": "/audio/speech",
    "audio.transcriptions": "/audio/transcriptions",
    "files": "/files",
    "batches": "/batches",
}
_OTHER_DIALECTS = {"anthropic", "vertex"}
_OTHER_PATHS = ("/vector_stores/", "/upload/")  # not served (501); Gemini's own file upload
_DEPLOYMENT = re.compile(r"(.*)/openai/deployments/([^/]+)$")
_MODEL = re.compile(r'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
_FORM = "switchgear-conformance"


class Request(Struct):
    """What the recorded client sent."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str | None = None


class Response(Struct):
    """What the provider answered."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def raw(self) -> bytes:
        """The body as it is replayed."""
        return self.body.encode("utf-8", "surrogatepass")


class Exchange(Struct):
    """One recording."""

    id: str
    provider: str
    api: str
    stream: bool
    request: Request
    response: Response

    @property
    def prefix(self) -> str:
        """The path of the provider's base URL."""
        return self.request.path.removesuffix(PATHS[self.api])

    @property
    def deployment(self) -> str | None:
        """The Azure deployment in the recorded path."""
        found = _DEPLOYMENT.fullmatch(self.prefix)
        return found[2] if found else None

    @property
    def entry(self) -> str:
        """Name of the provider in the configuration: one for each vendor, base path and API version.

        A recorded 401 or 429 is an entry of its own: it holds its credential back.
        """
        status = self.response.status
        held = str(status) if status in (401, 403, 429) else ""
        where = "openai-deployments" if self.deployment else self.prefix.strip("/").replace("/", "-")
        return "_".join(
            part for part in (self.provider, where, self.request.query.removeprefix("api-version="), held) if part
        )

    @property
    def model(self) -> str | None:
        """The name that the client uses: the deployment where the recorded path names one, else the recorded model."""
        if self.deployment:
            return self.deployment
        if self.api in ("files", "batches"):
            return None
        if self._is_json:
            name = msgspec.json.decode(self.request.body or "").get("model")
            return str(name) if name is not None else None
        return "recorded"

    @property
    def _is_json(self) -> bool:
        return (self.request.body or "").startswith("{")

    @property
    def asked_for_usage(self) -> bool:
        """Whether the client asked for the usage of a stream."""
        options = (
            msgspec.json.decode(self.request.body).get("stream_options")
            if self._is_json and self.request.body
            else None
        )
        return bool(options and options.get("include_usage"))

    def body(self) -> tuple[bytes, str]:
        """(body, content type) to send. A form whose text was not recorded is made up: its answer is what matters."""
        body = self.request.body or ""
        if self._is_json:
            name = msgspec.json.encode(self.model).decode()
            if self.deployment:
                body = _MODEL.sub(lambda found: found[0].replace(found[1], name), body, count=1)
                if not _MODEL.search(body):
                    body = f'{{"model": {name}, {body[1:]}'
            return body.encode("utf-8", "surrogatepass"), "application/json"
        if body.startswith("--"):
            return body.encode("utf-8", "surrogatepass"), self.request.headers["content-type"]
        fields = ['name="file"; filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\nabc\r\n']
        if self.model:
            fields.append(f'name="model"\r\n\r\n{self.model}\r\n')
        parts = "".join(f"--{_FORM}\r\nContent-Disposition: form-data; {field}" for field in fields)
        return f"{parts}--{_FORM}--\r\n".encode(), f"multipart/form-data; boundary={_FORM}"

    def provider_entry(self, origin: str) -> dict[str, Any]:
        """The provider's part of a configuration, served by a simulator at `origin`."""
        deployment = _DEPLOYMENT.fullmatch(self.prefix)
        kind = TYPES.get(self.provider, self.provider)
        entry: dict[str, Any] = {
            "type": kind,
            "base_url": origin + (deployment[1] if deployment else self.prefix),
            "credentials": ["sk-upstream-0123456789"],
            "forward_headers": ["x-sim-recording"],
        }
        if self.request.query:
            entry["api_version"] = self.request.query.removeprefix("api-version=")
        return entry


def load(folder: Path) -> list[Exchange]:
    """All recorded exchanges in the OpenAI dialect that the gateway relays; none when the folder is absent."""
    decoder = msgspec.json.Decoder(Exchange)
    found = []
    for path in sorted(folder.glob("*/*/*.json")):
        if path.parent.parent.name in _OTHER_DIALECTS or path.parent.name not in PATHS:
            continue
        exchange = decoder.decode(path.read_bytes())
        at = exchange.request.path
        if at.endswith(PATHS[exchange.api]) and not any(other in at for other in _OTHER_PATHS):
            found.append(exchange)
    return found


def waves(exchanges: list[Exchange]) -> list[list[Exchange]]:
    """The exchanges in groups within which a model's name belongs to one provider: no name has to be rewritten."""
    owners: dict[str, list[str]] = {}
    groups: list[list[Exchange]] = []
    for exchange in exchanges:
        entries = owners.setdefault(exchange.model or "", [])
        if exchange.model is None or exchange.entry not in entries:
            entries.append(exchange.entry)
        number = entries.index(exchange.entry) if exchange.model is not None else 0
        while len(groups) <= number:
            groups.append([])
        groups[number].append(exchange)
    return groups
