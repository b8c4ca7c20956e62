"""Golden files: `golden/<client>__<upstream>/<case>.{request,upstream,response,answer}.json`.

`request` is what the client sends and `response` what the upstream answers: both written by hand. `upstream` is what we
send on, with its path and what was dropped, and `answer` what the client gets: both checked against TRANSLATION and
frozen. `python tests/providers/golden.py` writes these two anew; look at the difference before committing it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from wire_codecs import DIALECTS, FORMATS

from switchgear.providers.dialects import completions, ollama_generate
from switchgear.providers.model_traits import target_model

# /v1/completions is translated for providers without a surface of OpenAI's.
OLD = {"completions": completions}
# /api/generate is translated for providers without a surface of Ollama's.
GENERATE = {"ollama-generate": ollama_generate}
HERE = Path(__file__).parent / "golden"
MODELS = {
    "openai_chat": "gpt-4.1",
    "openai_responses": "gpt-5",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro",
    "ollama": "qwen3",
}
_RANDOM = re.compile(r"\b(call_|chatcmpl-|msg_|resp_|rs_|fc_)[0-9a-f]{24}\b")
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_NOW = {"created", "created_at"}


def cases() -> list[tuple[str, str, str]]:
    """(client, upstream, case) of every golden file set."""
    return [
        (*folder.name.split("__"), path.name.removesuffix(".request.json"))  # type: ignore[misc]  # two names
        for folder in sorted(HERE.iterdir())
        for path in sorted(folder.glob("*.request.json"))
    ]


def path_of(client: str, upstream: str, case: str, kind: str) -> Path:
    return HERE / f"{client}__{upstream}" / f"{case}.{kind}.json"


def translate(client: str, upstream: str, request: Any, response: Any) -> tuple[Any, Any]:
    """(what goes upstream, what the client gets), without what is random or the time."""
    dialect = (DIALECTS | OLD | GENERATE)[client]
    conversation = dialect.decode_request(json.dumps(request).encode(), "smart" if client == "gemini" else "")
    encoded = FORMATS[upstream].encode_request(conversation, target_model(MODELS[upstream]))
    sent = {"path": encoded.path, "dropped": encoded.dropped, "body": json.loads(encoded.body)}
    answer = FORMATS[upstream].decode_response(json.dumps(response).encode(), encoded.context)
    got = json.loads(dialect.encode_response(answer, conversation, "smart"))
    return steady(sent), steady(got)


def client_time(value: Any) -> bool:
    """Whether this is a time as Ollama's clients get it; what upstreams say of times is in other words."""
    return isinstance(value, str) and _STAMP.fullmatch(value) is not None


def steady(value: Any) -> Any:
    """The value with random ids and times replaced."""
    if isinstance(value, dict):
        return {k: 0 if k in _NOW and (isinstance(v, int) or client_time(v)) else steady(v) for k, v in value.items()}
    if isinstance(value, list):
        return [steady(item) for item in value]
    if isinstance(value, str):
        return _RANDOM.sub(r"\1*", value)
    return value


def main() -> None:
    for client, upstream, case in cases():
        request = json.loads(path_of(client, upstream, case, "request").read_text())
        response = json.loads(path_of(client, upstream, case, "response").read_text())
        sent, got = translate(client, upstream, request, response)
        path_of(client, upstream, case, "upstream").write_text(json.dumps(sent, indent=1, ensure_ascii=False) + "\n")
        path_of(client, upstream, case, "answer").write_text(json.dumps(got, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
