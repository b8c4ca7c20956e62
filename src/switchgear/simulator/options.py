"""The command line of `switchgear simulate` and of `python -m switchgear.simulator`: one list of options for both."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from switchgear.config.values import Duration, Secret
from switchgear.simulator.run import run
from switchgear.simulator.settings import SimulatorSettings


class _DurationType(click.ParamType[Duration]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Duration:
        """A `Duration`, or click's usage error."""
        try:
            return Duration.parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


def _announce(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


@click.command("simulate")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on. /_sim/ shows what clients sent."
)
@click.option("--port", type=click.IntRange(0, 65535), default=9000, show_default=True, help="0: any free one.")
@click.option(
    "--first-token", type=_DurationType(), default="0ms", show_default=True, help="Wait before the first token."
)
@click.option(
    "--gap", type=_DurationType(), default="0ms", show_default=True, help="Wait between two tokens of a stream."
)
@click.option(
    "--jitter", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Share of both that varies."
)
@click.option("--tokens", type=click.IntRange(0, 1_000_000), default=16, show_default=True, help="Tokens per answer.")
@click.option(
    "--api-key",
    envvar="SWITCHGEAR_SIMULATOR_KEY",
    help="Ask for this API key, in the header of each format. Default: none.",
)
@click.option("--models", default="", help="Names that exist, comma-separated. Default: every name does.")
@click.option(
    "--recordings",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Answer requests that match a recorded exchange in this folder with it.",
)
@click.option(
    "--replay-split", type=click.IntRange(0), default=0, help="Bytes per write of a replayed stream; 0: events."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of generated text, jitter and probabilities.")
def command(
    host: str,
    port: int,
    first_token: Duration,
    gap: Duration,
    jitter: float,
    tokens: int,
    api_key: str | None,
    models: str,
    recordings: Path | None,
    replay_split: int,
    seed: int,
) -> None:
    """Serve a simulated provider that speaks the OpenAI, Anthropic, Gemini and Ollama formats."""
    settings = SimulatorSettings(
        host=host,
        port=port,
        first_token_s=first_token,
        gap_s=gap,
        jitter=jitter,
        tokens=tokens,
        api_key=Secret(api_key) if api_key else None,
        models=tuple(name.strip() for name in models.split(",") if name.strip()),
        recordings=recordings,
        replay_split=replay_split,
        seed=seed,
    )
    try:
        run(settings, _announce)
    except OSError as exc:
        raise click.ClickException(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from exc
