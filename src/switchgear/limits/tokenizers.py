"""Prompt tokens counted with tiktoken, OpenAI's tokenizer, where the configuration asks for it (`estimates`).

What is counted: the texts of a request in the model's encoding, 4 tokens a message, one for a name and 3 before the
answer, as OpenAI's cookbook does for its chat models ("How to count tokens with tiktoken"). How OpenAI writes tool
definitions into the prompt is not documented; they are counted as the JSON they arrive in. What that, images and sound
are off by is learnt like any other error of an estimate (`hotpath._estimate`).

It runs in the event loop, so its cost is bounded: of long texts `SAMPLE_CHARS` are counted, half of them from either
end, and the rest is taken in proportion (0.1 ms for each 1,000 characters of English, at most 1.3 ms in all for the
worst texts that were tried); bodies above `MAX_BODY_BYTES`, which would take milliseconds to decode, are estimated as
for models that have no tokenizer here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from switchgear.errors import ConfigError
from switchgear.hotpath._estimate import MAX_FAMILIES, Estimates

if TYPE_CHECKING:
    from tiktoken import Encoding

    from switchgear.config.schema import Config
    from switchgear.config.schema_limits import Estimates as Settings

SAMPLE_CHARS = 4096
MAX_BODY_BYTES = 1 << 18
_OF_A_MESSAGE = 4  # its role is one of them
_OF_A_NAME = 1
_OF_THE_ANSWER = 3
_PROMPTS = ("messages", "input", "prompt", "system", "instructions")
_MEDIA = frozenset(("image_url", "image", "images", "source", "input_audio", "file", "file_data"))
_NO_TEXT = frozenset(("type", "role", "id", "call_id", "tool_call_id"))
"""Keys below which is no text for the model: words of the format, and references."""


class TokenizedEstimates(Estimates):
    """As `Estimates`, with the prompts of known models counted. One worker's.

    encodings: those that are loaded, by name. upstream_models: what the names that clients use stand for; other names
    are looked up as they are, without the provider before the slash.
    """

    def __init__(self, encodings: Mapping[str, Encoding], upstream_models: Mapping[str, str]):
        super().__init__()
        self.encodings = encodings
        self._upstream_models = upstream_models
        self._of_model = lru_cache(MAX_FAMILIES)(self._find)

    def rename(self, upstream_models: Mapping[str, str]) -> None:
        """After a reload: what the names of clients stand for now."""
        self._upstream_models = upstream_models
        self._of_model.cache_clear()

    def raw(self, model: str, body: bytes) -> int:
        """Tokens of a prompt before calibration: counted where the model's encoding is loaded."""
        encoding = self._of_model(model)
        counted = count(encoding, body) if encoding is not None else None
        return super().raw(model, body) if counted is None else counted

    def _find(self, model: str) -> Encoding | None:
        from tiktoken.model import encoding_name_for_model

        try:
            name = encoding_name_for_model(self._upstream_models.get(model, model).rpartition("/")[2])
        except KeyError:  # not in tiktoken's table
            return None
        return self.encodings.get(name)


def count(encoding: Encoding, body: bytes) -> int | None:
    """Input tokens of a request as JSON; None where it is too large, cannot be read, or holds more than texts."""
    if len(body) > MAX_BODY_BYTES:
        return None
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(request, dict):
        return None
    if _beyond_text(request):
        return None
    texts = [text for field in _PROMPTS if field in request for text in _texts(request[field])]
    try:
        texts += [orjson.dumps(tool).decode() for tool in _list(request.get("tools"))]
    except TypeError:  # nested deeper than orjson writes
        return None
    messages = _list(request.get("messages"))
    names = sum(isinstance(message, dict) and "name" in message for message in messages)
    frame = _OF_A_MESSAGE * len(messages) + _OF_A_NAME * names + _OF_THE_ANSWER if messages else 0
    return _count_texts(encoding, texts) + frame


def _count_texts(encoding: Encoding, texts: list[str]) -> int:
    size = sum(map(len, texts))
    if size <= SAMPLE_CHARS:
        return sum(len(encoding.encode_ordinary(text)) for text in texts)
    whole, half = "".join(texts), SAMPLE_CHARS // 2
    sampled = sum(len(encoding.encode_ordinary(part)) for part in (whole[:half], whole[-half:]))
    return sampled * size // SAMPLE_CHARS


def _texts(value: Any) -> Iterator[str]:
    """Every text below a value in its order, but for `_NO_TEXT`. However deep it is nested."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            waiting.extend(reversed(one))
        elif isinstance(one, dict):
            waiting.extend(below for key, below in reversed(one.items()) if key not in _NO_TEXT)


def _beyond_text(request: dict[str, Any]) -> bool:
    """Whether the prompt holds token ids, images, sound or files: for those the estimate by bytes is the better one."""
    waiting = [request[field] for field in _PROMPTS if field in request]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            if any(type(item) is int for item in one):
                return True
            waiting.extend(one)
        elif isinstance(one, dict):
            if not _MEDIA.isdisjoint(one):
                return True
            waiting.extend(one.values())
    return False


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def open_estimates(config: Config) -> Estimates:
    """As the configuration asks for them. Raises `ConfigError` as `load`, and blocks while a vocabulary is fetched."""
    encodings = load(config.estimates)
    return TokenizedEstimates(encodings, _upstream_models(config)) if encodings else Estimates()


def reload(estimates: Estimates, config: Config) -> bool:
    """Go on under another configuration; False where it wants encodings that only a restart brings."""
    settings = config.estimates
    wanted = set(settings.encodings) if settings.tokenizer == "tiktoken" else set()
    if not isinstance(estimates, TokenizedEstimates):
        return not wanted
    estimates.rename(_upstream_models(config))
    return estimates.encodings.keys() == wanted


def _upstream_models(config: Config) -> dict[str, str]:
    """By the clients' name, the model that is asked first: of several vendors the limits hold for all."""
    return {
        name: min(model.targets, key=lambda target: (target.tier, -target.weight)).model
        for name, model in config.models.items()
    }


def load(settings: Settings) -> dict[str, Encoding]:
    """The encodings that the configuration names; none where it asks for no tokenizer.

    tiktoken fetches a vocabulary when it is first used and keeps it below `TIKTOKEN_CACHE_DIR`. Raises `ConfigError`
    where tiktoken is not installed, does not know an encoding or cannot get its vocabulary.
    """
    if settings.tokenizer == "builtin":
        return {}
    try:
        import tiktoken
    except ImportError as error:
        raise ConfigError(
            "expected tiktoken to be installed: pip install 'switchgear[tiktoken]'", key="estimates.tokenizer"
        ) from error
    return {
        name: _load_one(tiktoken.get_encoding, name, f"estimates.encodings[{n}]")
        for n, name in enumerate(settings.encodings)
    }


def _load_one(get_encoding: Any, name: str, key: str) -> Encoding:
    try:
        encoding: Encoding = get_encoding(name)
    except Exception as error:  # of a plugin, of the network, of the file it is kept in
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ConfigError(
            f"the vocabulary of '{name}' cannot be loaded (TIKTOKEN_CACHE_DIR says where it may lie): {reason}", key=key
        ) from error
    return encoding
