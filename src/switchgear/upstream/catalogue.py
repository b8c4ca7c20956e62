"""Which models exist: declared ones, or what the providers list when the configuration declares none.

Provider lists are fetched off the request path with httpx, kept for `REFRESH_S`, and kept on when a fetch fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from switchgear.config.schema import Config
from switchgear.observability import logs
from switchgear.upstream.upstream import Upstream

log = logs.get(__name__)

REFRESH_S = 300.0
RETRY_S = 15.0
_TIMEOUT_S = 10.0
_BODY_MAX = 8 * 1024 * 1024
_MODELS_MAX = 20_000  # per provider


class ModelEntry(msgspec.Struct):
    """One model as OpenAI lists it."""

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str = "switchgear"


class _List(msgspec.Struct):
    data: list[ModelEntry]


_decode_list = msgspec.json.Decoder(_List).decode
_decode_bare = msgspec.json.Decoder(list[ModelEntry]).decode


class Catalogue:
    """The models that clients see. `changed` is called with a provider and its model names, after
    each fetch that succeeded."""

    def __init__(
        self, config: Config, upstreams: Mapping[str, Upstream], changed: Callable[[str, frozenset[str]], None]
    ):
        self._declared = list(config.models)
        self._upstreams = upstreams
        self._changed = changed
        self._lists: dict[str, list[ModelEntry]] = {}
        self._task: asyncio.Task[None] | None = None
        self._fetched = asyncio.Event()
        for name, upstream in upstreams.items():
            if upstream.provider.models:
                self._lists[name] = [ModelEntry(model, owned_by=name) for model in upstream.provider.models]

    def start(self) -> None:
        """Begin fetching, unless every model is declared."""
        self._publish()
        if self._declared or all(upstream.provider.models for upstream in self._upstreams.values()):
            self._fetched.set()
        else:
            self._task = asyncio.create_task(self._keep_fresh())

    async def stop(self) -> None:
        """End fetching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def entries(self) -> list[ModelEntry]:
        """All models, in the order of the configuration. Waits for the first fetch, within its time limit."""
        if self._declared:
            return [ModelEntry(name) for name in self._declared]
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._fetched.wait()
        except TimeoutError:
            pass
        owners: dict[str, int] = {}
        for models in self._lists.values():
            for model in models:
                owners[model.id] = owners.get(model.id, 0) + 1
        return [
            msgspec.structs.replace(model, id=name)
            for provider, models in self._lists.items()
            for model in models
            for name in ([model.id] if owners[model.id] == 1 else []) + [f"{provider}/{model.id}"]
        ]

    async def _keep_fresh(self) -> None:
        while True:
            done = await self.refresh()
            self._fetched.set()
            await asyncio.sleep(REFRESH_S if done else RETRY_S)

    async def refresh(self) -> bool:
        """Fetch every list once. True when each fetch succeeded."""
        waiting = [(name, up) for name, up in self._upstreams.items() if not up.provider.models]
        results = await asyncio.gather(*(self._fetch(up) for _, up in waiting), return_exceptions=True)
        for (name, _), result in zip(waiting, results, strict=True):
            if isinstance(result, BaseException):
                log.warning("could not list models", provider=name, error=f"{type(result).__name__}")
            else:
                self._lists[name] = result
        self._publish()
        return not any(isinstance(result, BaseException) for result in results)

    def _publish(self) -> None:
        for name, models in self._lists.items():
            self._changed(name, frozenset(model.id for model in models))

    async def _fetch(self, upstream: Upstream) -> list[ModelEntry]:
        import httpx  # 30 ms and 10 MB: only where it is used

        line, *lines = upstream.probe_head(_PATHS.get(upstream.wire, "/models")).decode("latin-1").split("\r\n")
        headers = dict(pair.split(": ", 1) for pair in lines if pair)
        if upstream.wire == "anthropic":
            headers["anthropic-version"] = "2023-06-01"
        base = urlsplit(upstream.origin)
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, verify=upstream.context or True) as client:
            answer = await client.get(f"{base.scheme}://{base.netloc}{line.split(' ')[1]}", headers=headers)
        answer.raise_for_status()
        if len(answer.content) > _BODY_MAX:
            raise ValueError("the list of models is too large")
        return _READERS.get(upstream.wire, _openai)(answer.content)[:_MODELS_MAX]


def _openai(content: bytes) -> list[ModelEntry]:
    try:
        return _decode_list(content).data
    except msgspec.ValidationError:
        return _decode_bare(content)  # Together lists without an envelope


class _Named(msgspec.Struct):
    id: str = ""
    name: str = ""


class _NamedList(msgspec.Struct):
    data: list[_Named] = []
    models: list[_Named] = []


_decode_named = msgspec.json.Decoder(_NamedList).decode


def _anthropic(content: bytes) -> list[ModelEntry]:
    return [ModelEntry(model.id, owned_by="anthropic") for model in _decode_named(content).data if model.id]


def _gemini(content: bytes) -> list[ModelEntry]:
    names = (model.name.removeprefix("models/") for model in _decode_named(content).models)
    return [ModelEntry(name, owned_by="google") for name in names if name]


def _ollama(content: bytes) -> list[ModelEntry]:
    return [ModelEntry(model.name, owned_by="ollama") for model in _decode_named(content).models if model.name]


# Where the formats that are not OpenAI's list their models, in one page, and how.
_PATHS = {"anthropic": "/models?limit=1000", "gemini": "/models?pageSize=1000", "ollama": "/api/tags"}
_READERS = {"anthropic": _anthropic, "gemini": _gemini, "ollama": _ollama}
