"""What every client script has in common: where to point the SDK, the questions, and how results are told.

A script is started as `python SCRIPT` in the environment of its SDK, with a JSON object `{name: target}` on standard
input, and writes `{"versions": {...}, "results": {name: {step: result}}}` to standard output. It imports nothing of the
project. A result is what an application would see, without what differs from run to run; a step that raises has
`{"raised": "Type: message"}`.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

QUESTION = "How is the weather in Köln? 你好 🙂"
SYSTEM = "Be brief."
WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "kelvin"]}},
        "required": ["city"],
    },
}
CLOCK: dict[str, Any] = {
    "name": "clock",
    "description": "The time now.",
    "parameters": {"type": "object", "properties": {}},
}
RESULTS = {"weather": "sunny, 21 °C", "clock": "noon"}


class Target(NamedTuple):
    """origin: scheme, host and port. model: answers; thinking: reasons first, then answers. embeds: makes vectors."""

    origin: str
    key: str
    model: str
    thinking: str
    embeds: str

    @property
    def v1(self) -> str:
        return f"{self.origin}/v1"


def answer(
    text: str | None,
    *,
    calls: Iterable[tuple[str, str | None, Any]] = (),
    finish: Any = None,
    usage: tuple[Any, Any] | None = None,
    thoughts: str | None = None,
) -> dict[str, Any]:
    """One answer of a model, the same for every SDK.

    calls: (id, name, arguments), arguments as an object or JSON text. usage: (input tokens, output tokens); of the
    input only that there is some, for vendors count it differently.
    """
    made = list(calls)
    seen: dict[str, Any] = {"text": text or "", "finish": None if finish is None else str(finish)}
    if made:
        identifiers = [call[0] for call in made]
        if not all(identifiers) or len(set(identifiers)) != len(made):
            raise AssertionError(f"calls without identifiers of their own: {identifiers}")
        seen["calls"] = [[name, json.loads(given) if isinstance(given, str) else given] for _, name, given in made]
    if usage is not None:
        seen["usage"] = {"input": bool(usage[0]), "output": usage[1]}
    if thoughts is not None:
        seen["thoughts"] = thoughts
    return seen


Step = Callable[[Target], Any]


def run(steps: Iterable[Step], packages: Iterable[str]) -> None:
    """Every step against every target."""
    targets = {name: Target(**given) for name, given in json.load(sys.stdin).items()}
    steps = list(steps)
    with asyncio.Runner() as loop:  # one for all, for SDKs keep connections that belong to it
        results = {
            name: {step.__name__: _result(step, target, loop) for step in steps} for name, target in targets.items()
        }
    versions = {package: importlib.metadata.version(package) for package in packages}
    json.dump({"versions": versions, "results": results}, sys.stdout)


def _result(step: Step, target: Target, loop: asyncio.Runner) -> Any:
    try:
        made = step(target)
        return loop.run(made) if inspect.iscoroutine(made) else made
    except Exception as exc:
        traceback.print_exc()
        return {"raised": f"{type(exc).__name__}: {exc}"}
