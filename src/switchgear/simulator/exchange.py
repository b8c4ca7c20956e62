"""One request as the wire formats see it, and what they share: identifiers, the body's JSON, limits, the store."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Generic, TypeVar

import orjson

from switchgear.errors import InvalidRequest, NotFound
from switchgear.simulator.behaviour import Behaviour
from switchgear.simulator.http import Head
from switchgear.simulator.multipart import Form
from switchgear.simulator.settings import SimulatorSettings

Value = TypeVar("Value")
Json = dict[str, Any]

NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)
NO_MODEL = "you must provide a model parameter"


class Bounded(Generic[Value]):
    """A dictionary that forgets its oldest entries beyond `limit` of them or `limit_bytes` in all."""

    def __init__(self, limit: int, limit_bytes: int = 0):
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._items: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, key: str, value: Value, size_bytes: int = 0) -> None:
        """Store or replace."""
        self.pop(key)
        self._items[key] = (value, size_bytes)
        self._bytes += size_bytes
        while len(self._items) > self._limit or (self._limit_bytes and self._bytes > self._limit_bytes):
            self._bytes -= self._items.popitem(last=False)[1][1]

    def get(self, key: str) -> Value | None:
        """The value, or None."""
        found = self._items.get(key)
        return found[0] if found else None

    def pop(self, key: str) -> Value | None:
        """Remove and return the value, or None."""
        found = self._items.pop(key, None)
        if found is None:
            return None
        self._bytes -= found[1]
        return found[0]

    def newest_first(self) -> list[Value]:
        """All values."""
        return [value for value, _ in reversed(self._items.values())]


class Store:
    """What the simulator keeps between requests: responses, conversations, files with their content, batches, lengths
    of cached prompts by their digest. In memory, bounded."""

    def __init__(self, settings: SimulatorSettings):
        count = settings.stored_objects
        self.responses: Bounded[Json] = Bounded(count, settings.stored_bytes)
        self.threads: Bounded[Json] = Bounded(count, settings.stored_bytes)
        self.files: Bounded[tuple[Json, bytes]] = Bounded(count, settings.stored_bytes)
        self.batches: Bounded[Json] = Bounded(count)
        self.cached_prompts: Bounded[int] = Bounded(count)


class Exchange:
    """A request on its way to an answer.

    number: counts requests from 1; identifiers follow from it. path_id: what stands for `{id}` in the route, or "".
    path_model: the model where the path names it (Gemini), or "".
    json: the decoded body of a JSON request, {} otherwise. form: the fields of a multipart request.
    now: Unix time in whole seconds.
    """

    __slots__ = (
        "base_model",
        "behaviour",
        "body",
        "form",
        "head",
        "json",
        "now",
        "number",
        "path_id",
        "path_model",
        "settings",
        "store",
    )

    def __init__(self, settings: SimulatorSettings, store: Store, head: Head, body: bytes, number: int, now: int):
        self.settings = settings
        self.store = store
        self.head = head
        self.body = body
        self.number = number
        self.now = now
        self.path_id = ""
        self.path_model = ""
        self.json: Json = {}
        self.form = Form()
        self.behaviour = Behaviour()
        self.base_model = ""

    def decode(self, message: str = NOT_JSON) -> None:
        """Read the body as JSON object into `json`. Raises `InvalidRequest` with `message`."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError as exc:
            raise InvalidRequest(message) from exc
        if not isinstance(value, dict):
            raise InvalidRequest(message)
        self.json = value

    @property
    def model(self) -> str:
        """The model as the request names it, "" when it does not."""
        if self.path_model:
            return self.path_model
        name = self.json.get("model", self.form.text("model"))
        return name if isinstance(name, str) else ""

    def require_model(self, default: str | None = None) -> str:
        """The model's name as sent. Raises `InvalidRequest` without one and `NotFound` for one that does not exist."""
        given = self.json.get("model", self.form.text("model") or None)
        if given is None and default is not None:
            return default
        if given is None:
            raise InvalidRequest(NO_MODEL)
        if not isinstance(given, str):
            raise InvalidRequest(
                f"Invalid type for 'model': expected a string, but got {kind(given)} instead.",
                param="model",
                code="invalid_type",
            )
        if not given:
            raise InvalidRequest(NO_MODEL)
        self.check_model(self.base_model or given)
        return given

    def has_model(self, base: str) -> bool:
        """Whether the model `base` exists."""
        return not self.settings.models or base in self.settings.models

    def check_model(self, base: str) -> None:
        """Raise `NotFound` unless the model `base` exists."""
        if not self.has_model(base):
            raise NotFound(
                f"The model `{base}` does not exist or you do not have access to it.", code="model_not_found"
            )

    def id(self, prefix: str, extra: int = 0) -> str:
        """An identifier such as `chatcmpl-00000000000000000000000000001`, unique in this simulator."""
        return f"{prefix}{self.number:024x}{extra:05x}"


def kind(value: Any) -> str:
    """A JSON type with its article, in the words of OpenAI's messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a decimal"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def text_of(content: Any) -> str:
    """The text in a message's content: a string, or the text parts of an array."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(part for part in parts if isinstance(part, str))
