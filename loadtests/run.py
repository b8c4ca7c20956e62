"""One load test, headless, with one command.

    python loadtests/run.py steady|burst|streaming|failover [--users 50] [--seconds 30] [--host http://…]

Starts the simulator and the gateway unless --host names a gateway. Writes results/locust-NAME.html, .json,
_stats.csv (and Locust's other CSV files) and a page of summary, results/locust-NAME.md. Exit status 1 when a request
failed, or when the gateway wrote a traceback.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "benchmarks")]

from environment import started  # noqa: E402  # needs the path above
from harness.processes import StartFailed  # noqa: E402 - its folder is put on the path above
from summary import summarize  # noqa: E402 - its folder is put on the path above

SCENARIOS = ("steady", "burst", "streaming", "failover")
STOP_S = 15  # for what is under way at the end


def run_locust(scenario: str, host: str, users: int, seconds: int, prefix: Path, environment: dict[str, str]) -> int:
    """Locust's exit status: 0, or 1 when a request failed."""
    command = [sys.executable, "-m", "locust", "-f", str(HERE / f"{scenario}.py"), "--headless", "--host", host]
    command += ["--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s"]
    command += ["--stop-timeout", str(STOP_S), "--only-summary", "--html", f"{prefix}.html"]
    command += ["--csv", str(prefix), "--json-file", str(prefix)]
    return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode


@click.command()
@click.argument("scenario", type=click.Choice(SCENARIOS))
@click.option("--users", type=click.IntRange(1), default=50, show_default=True)
@click.option("--seconds", type=click.IntRange(2), default=30, show_default=True)
@click.option("--host", help="A gateway that runs already; key and models by environment, see common.py.")
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
def main(scenario: str, users: int, seconds: int, host: str | None, results: Path) -> None:
    """Run one load test and report."""
    results.mkdir(parents=True, exist_ok=True)
    prefix = results / f"locust-{scenario}"
    environment: dict[str, str] = {}
    log = None
    with ExitStack() as stack:
        if host is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="switchgear-load-")))
            try:
                host, environment, log = stack.enter_context(started(folder))
            except StartFailed as exc:
                raise click.ClickException(str(exc)) from exc
        status = run_locust(scenario, host, users, seconds, prefix, environment)
        tracebacks = log.read_text(errors="replace").count("Traceback (most recent call last)") if log else 0
    report = prefix.with_suffix(".json")
    if not report.exists():
        raise click.ClickException(f"Locust ended with status {status} and wrote no report")
    page, failures = summarize(scenario, users, seconds, json.loads(report.read_text()), tracebacks)
    prefix.with_suffix(".md").write_text(page)
    click.echo(page)
    sys.exit(1 if failures or tracebacks or status not in (0, 1) else 0)


if __name__ == "__main__":
    main()
