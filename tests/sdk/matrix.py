"""The matrix: which script runs in which environments, against which upstreams, and where results may differ."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from tests.sdk.environments import HERE, environment
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

RUN_S = 600.0
# No keys and addresses of real providers; and litellm is not to fetch its list of prices.
_ENVIRONMENT = {
    **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "PYTHONUTF8": "1",
}
CLIENTS = HERE / "clients"
DIRECT = "direct"

# Upstream → the provider's type, its base URL below the simulator's origin, further settings.
UPSTREAMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "openai": ("openai", "/v1", {}),
    "responses": ("openai", "/v1", {"responses": "always"}),
    "anthropic": ("anthropic", "", {}),
    "gemini": ("gemini", "", {}),
    "ollama": ("ollama", "", {}),
}
ANSWERS = "sim;tokens=40"
THINKS = "sim;tokens=40;reasoning=6"


class Run(NamedTuple):
    """One script in one environment. name: the test's. sdk: the packages that it is about, as `docs/sdks.md` says."""

    sdk: str
    script: str
    environment: str
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return "-".join((self.script.partition(".")[0].removeprefix("with_"), self.environment, *self.arguments))


RUNS = (
    Run("openai", "with_openai.py", "current"),
    Run("openai", "with_openai.py", "previous"),
    Run("openai", "with_openai.py", "older"),
    Run("openai (Node)", "with_openai_node.cjs", "node", ("openai",)),
    Run("openai (Node)", "with_openai_node.cjs", "node", ("openai-previous",)),
    Run("anthropic", "with_anthropic.py", "current"),
    Run("anthropic", "with_anthropic.py", "previous"),
    Run("anthropic", "with_anthropic.py", "older"),
    Run("google-genai", "with_google_genai.py", "current"),
    Run("google-genai", "with_google_genai.py", "previous"),
    Run("google-genai", "with_google_genai.py", "older"),
    Run("mistralai", "with_mistralai.py", "current"),
    Run("mistralai", "with_mistralai.py", "previous"),
    Run("mistralai", "with_mistralai.py", "older"),
    Run("ollama", "with_ollama.py", "current"),
    Run("ollama", "with_ollama.py", "previous"),
    Run("langchain-openai", "with_langchain_openai.py", "langchain"),
    Run("langchain-openai", "with_langchain_openai.py", "langchain-0"),
    Run("langchain-anthropic", "with_langchain_anthropic.py", "langchain"),
    Run("langchain-anthropic", "with_langchain_anthropic.py", "langchain-0"),
    Run("llama-index-llms-openai-like", "with_llama_index.py", "llama-index"),
    Run("pydantic-ai-slim", "with_pydantic_ai.py", "pydantic-ai"),
    Run("pydantic-ai-slim", "with_pydantic_ai.py", "pydantic-ai-1"),
    Run("instructor", "with_instructor.py", "instructor"),
    Run("litellm", "with_litellm.py", "litellm"),
)


class Difference(NamedTuple):
    """A result that is not the direct one. told: a text in the result as JSON. why: as `docs/sdks.md` says it."""

    told: str
    why: str


_NO_EMBEDDINGS = Difference("501", "Anthropic makes no embeddings: 501 in the client's own format.")
_STOP = Difference('"finish": "end_turn"', "The provider does not tell which stop sequence it met: `end_turn`.")
_NO_STOP = Difference('"finish": "end_turn"', "Responses has no stop sequences: named in `x-switchgear-dropped`.")
_UNSPLIT = Difference('"thoughts"', "Ollama counts the tokens of thoughts and answer together.")
_NAMES = Difference("function.name", "The SDK asks for the function's name in every delta; OpenAI's has it once.")
_IDENTIFIER = Difference("body.id", "The SDK asks for an `id` that OpenAI's embeddings do not have.")
_IDENTIFIED = Difference("[3, true, false]", "Translated embeddings have the `id` that the SDK asks for.")
_NO_JSON_MODE = Difference(
    '"output": 40', "Anthropic takes a JSON Schema and no `json`: named in `x-switchgear-dropped`."
)
_OUTPUT = Difference("Exceeded maximum output retries", "Ollama cannot be told to call the tool that takes the output.")

DIFFERENCES: dict[tuple[str, str, str], Difference] = {
    **{
        (script, "embeddings", "anthropic"): _NO_EMBEDDINGS
        for script in (
            "with_openai.py",
            "with_openai_node.cjs",
            "with_google_genai.py",
            "with_mistralai.py",
            "with_ollama.py",
            "with_langchain_openai.py",
        )
    },
    ("with_ollama.py", "embed", "anthropic"): _NO_EMBEDDINGS,
    ("with_ollama.py", "json_format", "anthropic"): _NO_JSON_MODE,
    **{("with_anthropic.py", "messages_stop_sequence", name): _STOP for name in ("openai", "gemini", "ollama")},
    ("with_anthropic.py", "messages_stop_sequence", "responses"): _NO_STOP,
    ("with_google_genai.py", "thoughts", "ollama"): _UNSPLIT,
    **{("with_mistralai.py", "tools_streamed", name): _NAMES for name in (DIRECT, *UPSTREAMS)},
    **{("with_mistralai.py", "embeddings", name): _IDENTIFIER for name in (DIRECT, "openai", "responses")},
    **{("with_mistralai.py", "embeddings", name): _IDENTIFIED for name in ("gemini", "ollama")},
    **{
        ("with_pydantic_ai.py", f"{kind}_tools_then_output", "ollama"): _OUTPUT
        for kind in ("chat", "responses", "anthropic", "google")
    },
}


def config(simulator: SimulatorProcess) -> dict[str, Any]:
    """Three models for each upstream: one that answers, one that reasons before it answers, one for embeddings.

    Their names do not show the upstream, for some SDKs go by the model's name.
    """
    providers = {
        name: {"type": kind, "base_url": simulator.origin + base, "credentials": [f"sk-upstream-{name}-00"], **settings}
        for name, (kind, base, settings) in UPSTREAMS.items()
    }
    models = {
        f"{use}-{number}": {"targets": [{"provider": name, "model": model}]}
        for number, name in enumerate(UPSTREAMS)
        for use, model in (("answers", ANSWERS), ("thinks", THINKS), ("embeds", "sim-embedding"))
    }
    return {
        "server": {"drain": {"grace": 0}},
        "providers": providers,
        "models": models,
        "keys": [{"name": "test", "value": KEY}],
    }


def targets(gateway: GatewayProcess, simulator: SimulatorProcess) -> dict[str, dict[str, str]]:
    """For each upstream what a script is told; and `direct`: the simulator itself, in the client's own format."""
    direct = {
        "origin": simulator.origin,
        "key": "sk-direct",
        "model": ANSWERS,
        "thinking": THINKS,
        "embeds": "sim-embedding",
    }
    through = {
        name: {
            "origin": gateway.origin,
            "key": KEY,
            "model": f"answers-{number}",
            "thinking": f"thinks-{number}",
            "embeds": f"embeds-{number}",
        }
        for number, name in enumerate(UPSTREAMS)
    }
    return {DIRECT: direct, **through}


def start(run: Run, given: dict[str, Any]) -> Any:
    """Run the script in its environment, made first if need be; what it wrote. Raises `Uninstallable`."""
    folder = environment(run.environment)
    program = "node" if run.script.endswith(".cjs") else "python"
    return started([str(folder / "bin" / program), str(CLIENTS / run.script), *run.arguments], folder, given)


def started(command: list[str], folder: Path, given: dict[str, Any]) -> Any:
    """The JSON that a script writes. Fails with what else it said."""
    done = subprocess.run(
        command, cwd=folder, env=_ENVIRONMENT, input=json.dumps(given), capture_output=True, text=True, timeout=RUN_S
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    found = json.loads(done.stdout)
    found["stderr"] = done.stderr
    return found
