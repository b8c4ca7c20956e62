"""`switchgear serve`: the gateway under granian, with a banner that says how to use it."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import click
import msgspec

from switchgear.accounting.prices import load_catalogue, prepare
from switchgear.cli.run_dir import run_directory
from switchgear.config.environment import from_environment
from switchgear.config.load import SIMULATOR_VARIABLE, load, with_simulator
from switchgear.config.schema import Config, Provider
from switchgear.errors import ConfigError
from switchgear.hotpath import require
from switchgear.limits import tokenizers
from switchgear.observability import logs
from switchgear.providers.registry import provider_types


@click.command()
@click.option("--config", "path", type=click.Path(path_type=Path, dir_okay=False), help="YAML or TOML file.")
@click.option("--host", help="Address to listen on, in place of the configured one.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port, in place of the configured one; 0 takes a free one.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes, in place of the configured number.")
def command(path: Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the gateway.

    Without a file: the providers whose keys are in the environment (OPENAI_API_KEY, ...), or the built-in simulator
    when there is none, on http://127.0.0.1:8080.
    """
    try:
        require()
    except ImportError as missing:
        raise click.ClickException(str(missing)) from None
    simulator: subprocess.Popen[str] | None = None
    try:
        config = load(path, known_types=provider_types()) if path else from_environment()
        prepare(config)
        config = _overridden(config, host, port, workers)
        if needs_simulator(config):
            simulator, simulator_url = start_simulator()
            os.environ[SIMULATOR_VARIABLE] = simulator_url
            config = with_simulator(config, simulator_url)
        run(config, path, simulated=bool(simulator))
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    finally:
        if simulator is not None:
            simulator.terminate()
            simulator.wait(5)


def run(config: Config, path: Path | None, simulated: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    from switchgear.server.supervisor import Supervisor  # the gateway: half a second, in which prices are made ready

    logs.configure(config.logging)
    _raise_file_limit()
    load_catalogue(config)  # before the workers are forked, which share it
    tokenizers.load(config.estimates)  # likewise
    with run_directory() as run_dir:
        supervisor = Supervisor(config, path, run_dir)
        banner(config, simulated)
        supervisor.serve()


def needs_simulator(config: Config) -> bool:
    """Whether a provider of the configuration waits for the address of the built-in simulator."""
    return any(provider.base_url == "simulator:" for provider in config.providers.values())


def start_simulator() -> tuple[subprocess.Popen[str], str]:
    """The simulator as a child process, and its base URL. It ends when this process does."""
    child = subprocess.Popen(
        [sys.executable, "-m", "switchgear.simulator", "--port", "0", "--first-token", "50ms", "--gap", "10ms"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None  # noqa: S101 - PIPE was asked for
    line = child.stdout.readline()
    if "http" not in line:
        child.kill()
        raise click.ClickException("the built-in simulator did not start")
    return child, line.split()[-1]


def banner(config: Config, simulated: bool) -> None:
    """URL, key, a curl that works when pasted, and which providers are live."""
    server = config.server
    host = "127.0.0.1" if server.host in ("0.0.0.0", "::", "") else server.host  # noqa: S104 - compared, not bound
    url = f"{'https' if server.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{server.port}"
    key = config.embedded_key.reveal() if config.embedded_key is not None else ""
    model = _example_model(config)
    click.echo(f"\n  Switchgear is listening on {url}\n")
    if key:
        click.echo(f"  key        {key}")
    elif config.keys:
        click.echo(f"  keys       {', '.join(entry.name for entry in config.keys)} (from the configuration)")
        key = "$YOUR_KEY"
    live = ", ".join(f"{name} ({_where(provider)})" for name, provider in config.providers.items())
    click.echo(f"  providers  {live}")
    if simulated:
        click.echo(
            "             no provider key is set: the built-in simulator answers. "
            "Set OPENAI_API_KEY, ... for real ones."
        )
    auth = f" \\\n    -H 'Authorization: Bearer {key}'" if key else ""
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    click.echo(
        f"\n  curl {url}/v1/chat/completions{auth} \\\n    -H 'Content-Type: application/json' \\\n    -d '{body}'\n"
    )


def _where(provider: Provider) -> str:
    row = provider_types()[provider.type]
    return provider.base_url or row.base_url or ""


def _example_model(config: Config) -> str:
    if config.models:
        return next(iter(config.models))
    for name, provider in config.providers.items():
        if provider.models:
            return f"{name}/{provider.models[0]}"
    return f"{next(iter(config.providers), 'openai')}/gpt-4.1-mini"


def _overridden(config: Config, host: str | None, port: int | None, workers: int | None) -> Config:
    server = config.server
    server = msgspec.structs.replace(
        server, host=host or server.host, port=server.port if port is None else port, workers=workers or server.workers
    )
    if server.port == 0:
        server = msgspec.structs.replace(server, port=_free_port(server.host))
    return msgspec.structs.replace(config, server=server)


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _raise_file_limit() -> None:
    """Every connection is a file: take all that the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
