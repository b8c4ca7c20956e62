"""Every recorded exchange of every provider, asked on each of the four dialects: the answer must be the expected one.

A scripted upstream tells the recorded answer, in its provider's format, to whatever the gateway asks. The request is
the recorded one, put into each client's dialect with the codecs. Everything that EXPECTED.jsonl has is compared, and
citations; the recorded errors are compared by status, type, code and message. Where the request cannot be asked on a
dialect, the refusal must name the field that cannot be expressed (`dialect_rules.NOT_EXPRESSIBLE`).

Differences that are meant have their rule, with its reason, in `dialect_rules`. Any other fails the test. The table by
provider and dialect stands in docs/conformance.md, which must say what was found here.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from switchgear.errors import GatewayError
from switchgear.providers.dialects import anthropic, chat, gemini, responses
from switchgear.providers.formats import anthropic as to_anthropic
from switchgear.providers.formats import gemini as to_gemini
from switchgear.providers.formats import openai_chat, openai_responses
from switchgear.providers.model_traits import target_model
from tests.conformance import dialect_rules as rules
from tests.conformance.dialect_expected import in_words_of, neutral
from tests.conformance.dialect_views import view
from tests.conftest import RECORDINGS
from tests.providers.folding import fold
from tests.support.processes import KEY, ROOT, GatewayProcess
from tests.support.scripted import Asked, Told, scripted

CLIENTS = ("chat", "responses", "anthropic", "gemini")
READERS = {"chat": chat, "responses": responses, "anthropic": anthropic, "gemini": gemini}
WRITERS = {"chat": openai_chat, "responses": openai_responses, "anthropic": to_anthropic, "gemini": to_gemini}
WIRE = {
    "chat.completions": "chat",
    "responses": "responses",
    "messages": "anthropic",
    "messages.vertex": "anthropic",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "ollama.chat": "ollama",
    "ollama.generate": "ollama",
}
TYPES = {"chat": "openai", "responses": "openai", "anthropic": "anthropic", "gemini": "gemini", "ollama": "ollama"}
KNOWN_TYPES = frozenset(
    ("azure", "mistral", "xai", "openrouter", "together", "groq", "deepseek", "perplexity", "cerebras", "huggingface",
     "zai", "llama-cpp", "vllm")
)  # fmt: skip
PAGE = ROOT / "docs" / "conformance.md"
Row = dict[str, Any]
Outcome = tuple[Row, str, str, str]  # exchange, client, kind (same, ruled, refused, differs), words


def rows() -> list[Row]:
    index, expected = RECORDINGS / "INDEX.jsonl", RECORDINGS / "EXPECTED.jsonl"
    if not index.exists():
        return []
    views = {row["id"]: row["view"] for row in map(json.loads, expected.read_text().splitlines())}
    found = []
    for number, row in enumerate(map(json.loads, index.read_text().splitlines())):
        if row["api"] in WIRE:
            loaded = json.loads((RECORDINGS / f"{row['id']}.json").read_text())
            extra = {"name": f"x{number}", "wire": WIRE[row["api"]], "view": views.get(row["id"])}
            found.append(row | extra | {"request": loaded["request"], "response": loaded["response"]})
    return found


def test_every_exchange_on_every_dialect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exchanges = rows()
    if not exchanges:
        return  # tests/conftest.py says so at the end
    by_name = {row["name"]: row for row in exchanges}
    reached: set[str] = set()

    def tell(asked: Asked) -> Told:
        path = asked.target.partition("?")[0]
        name = path.partition("/models/")[2].partition(":")[0] if "/models/" in path else asked.json["model"]
        reached.add(name)
        return recorded_answer(by_name[name.partition(".")[0]])

    with scripted(tell) as upstream:
        process = GatewayProcess(configuration(exchanges, upstream.origin), tmp_path)
        try:
            outcomes = asyncio.run(ask_all(process.ready().origin, exchanges, reached))
        finally:
            process.stop()
    table = render(outcomes)
    bad = [f"{row['id']} [{client}] {words}" for row, client, kind, words in outcomes if kind == "differs"]
    with capsys.disabled():
        print("\n" + table)  # noqa: T201 - the table is the point
        if os.environ.get("MATRIX_VERBOSE"):
            print("\n".join(bad))  # noqa: T201 - what the test found, for whoever reads its output
    assert bad == []
    used = {words for _, _, kind, words in outcomes if kind in ("ruled", "refused")}
    assert used == set(rules.REASONS), "a rule that nothing needs, or one without its reason"
    assert table in PAGE.read_text(), "docs/conformance.md has another table"


def recorded_answer(row: Row) -> Told:
    response = row["response"]
    body = (response["body"] or "").encode("utf-8", "surrogatepass")
    kind = response["headers"].get("content-type") or ("text/event-stream" if row["stream"] else "application/json")
    return Told([body], row["status"], content_type=kind)


def configuration(exchanges: list[Row], origin: str) -> dict[str, Any]:
    providers: dict[str, Any] = {}
    models = {}
    for row in exchanges:
        wire = row["wire"]
        kind = row["provider"] if row["provider"] in KNOWN_TYPES and wire == "chat" else TYPES[wire]
        # A refused credential is held back: such an exchange has a provider of its own.
        name = f"{kind}-{wire}" if row["status"] < 300 else row["name"]
        providers[name] = {
            "type": kind,
            "base_url": origin if kind == "azure" or wire not in ("chat", "responses") else f"{origin}/v1",
            "credentials": ["sk-upstream-00000000"],
            "repair": True,
        }
        if wire in ("chat", "responses"):
            providers[name]["responses"] = "translated" if wire == "chat" else "always"
        for client in CLIENTS:  # a name for each client: which of them reached the provider shows there
            model = f"{row['name']}.{client}"
            models[model] = {"targets": [{"provider": name, "model": model}], "retries": {"attempts": 1}}
    return {
        "providers": providers,
        "models": models,
        "keys": [{"name": "test", "value": KEY}],
        "defaults": {"breaker": {"failures": 100000}},
    }


async def ask_all(origin: str, exchanges: list[Row], reached: set[str]) -> list[Outcome]:
    gate = asyncio.Semaphore(8)
    async with httpx.AsyncClient(timeout=60) as http:

        async def one(row: Row, client: str) -> Outcome:
            async with gate:
                return row, client, *await outcome(http, origin, row, client, reached)

        return list(await asyncio.gather(*(one(row, client) for row in exchanges for client in CLIENTS)))


async def outcome(http: httpx.AsyncClient, origin: str, row: Row, client: str, reached: set[str]) -> tuple[str, str]:
    try:
        path, fields = question(row, client)
    except GatewayError as error:
        return refusal(row, client, error.param, str(error))
    answer = await http.post(origin + path, json=fields, headers={"authorization": f"Bearer {KEY}"})
    if answer.status_code == 400 and f"{row['name']}.{client}" not in reached:
        return refusal(row, client, named_field(client, answer.json()), answer.text)
    try:
        got = seen(row, client, answer)
    except (KeyError, ValueError, IndexError, TypeError, AssertionError) as error:
        return "differs", f"cannot be read: {answer.status_code} {type(error).__name__} {error}: {answer.text[:300]}"
    if row["status"] >= 300:
        want = rules.expected_error(row, client)
        return ("same", "") if got == want else ("differs", f"{got} instead of {want}")
    if row["view"] is None:
        return "same", ""
    plain = in_words_of(client, neutral(row["view"], row["response"]["body"], row["wire"]))
    want, rule = rules.changed(row, client, plain)
    if got == want:
        return ("ruled", rule) if rule else ("same", "")
    names = [name for name in got if got.get(name) != want.get(name)]
    pairs = [f"{name}: {str(got.get(name))[:400]} instead of {str(want.get(name))[:400]}" for name in names]
    return "differs", "; ".join(pairs)


def refusal(row: Row, client: str, field: str | None, words: str) -> tuple[str, str]:
    rule = rules.not_expressible(row, client, field)
    return ("refused", rule) if rule else ("differs", f"refused for {field}: {words[:200]}")


def named_field(client: str, body: Any) -> str | None:
    """The field that an error of the gateway names."""
    error = body["error"]
    if client == "anthropic":
        return str(error["message"]).partition(":")[0]
    if client == "gemini":
        fields = [one["field"] for detail in error.get("details") or () for one in detail.get("fieldViolations") or ()]
        return fields[0] if fields else None
    return error["param"]  # type: ignore[no-any-return]  # JSON


def seen(row: Row, client: str, answer: httpx.Response) -> Any:
    if answer.status_code >= 300:
        error = answer.json()["error"]
        return {"status": answer.status_code} | rules.error_facts(client, error)
    if row["stream"] and row["wire"] != client:
        fold(client, answer.content)  # the dialect's grammar, to the letter
    return view(client, answer.content, stream=bool(row["stream"]))


def question(row: Row, client: str) -> tuple[str, Any]:
    """(path, body) of the recorded request in a client's dialect. Raises `GatewayError` where it has no words."""
    stream, name = bool(row["stream"]), f"{row['name']}.{client}"
    body = (row["request"]["body"] or "").encode("utf-8", "surrogatepass")
    reader = READERS.get(row["wire"])
    if reader is None:  # Ollama's requests are written, never read: its turns as chat
        body = json.dumps({"model": name, "messages": plain_turns(json.loads(body))}).encode()
        reader = chat
    conversation = reader.decode_request(body, name)
    conversation.stream, conversation.include_usage = stream, stream
    model = {"anthropic": "claude-sonnet-4-5", "gemini": "gemini-3-pro"}.get(client, "gpt-4o")
    fields = json.loads(WRITERS[client].encode_request(conversation, target_model(model)).body)
    if client == "gemini":
        if row["api"] == "streamGenerateContent" and not stream:  # recorded without alt=sse: one array
            return f"/v1beta/models/{name}:streamGenerateContent", fields
        return f"/v1beta/models/{name}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent"), fields
    fields["model"] = name
    if client == "chat" and stream:
        fields["stream_options"] = {"include_usage": True}
    paths = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "anthropic": "/v1/messages"}
    return paths[client], fields


def plain_turns(request: Any) -> list[dict[str, Any]]:
    if "prompt" in request:
        return [{"role": "user", "content": request["prompt"]}]
    turns = [turn for turn in request["messages"] if turn["role"] in ("user", "system")]
    return [{"role": turn["role"], "content": turn.get("content") or "-"} for turn in turns]


def render(outcomes: list[Outcome]) -> str:
    """The table by provider and dialect: same / same but for a rule / refused by name."""
    cells: dict[tuple[str, str], Counter[str]] = {}
    for row, client, kind, _ in outcomes:
        for provider in (row["provider"], "all"):
            cells.setdefault((provider, client), Counter())[kind] += 1
    providers = sorted({provider for provider, _ in cells} - {"all"})
    lines = ["| provider | exchanges | " + " | ".join(CLIENTS) + " |", "|---|---|" + "---|" * len(CLIENTS)]
    for provider in [*providers, "all"]:
        counts = [cells[provider, client] for client in CLIENTS]
        told = [f"{one['same']} / {one['ruled']} / {one['refused']}" for one in counts]
        lines.append(f"| {provider} | {sum(counts[0].values())} | " + " | ".join(told) + " |")
    return "\n".join(lines)
