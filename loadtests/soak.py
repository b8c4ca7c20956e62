"""The soak: ten minutes of load while workers, Redis and PostgreSQL are killed, stalled and emptied, and the ledger's
quota is filled; a verdict.

    python loadtests/soak.py [--seconds 600] [--rate 300] [--workers 4]

Exit status 1 when an answer lacks its ledger row or has two, a budget was overshot, a request failed that should not
have, or was late (`tests/support/chaos_verdict.py` has all that is judged). Times mean something only where nothing
else runs: the verdict says how late the generator itself was.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import uvloop

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.support.chaos import Plan, chaos  # noqa: E402  # needs the path above

BUDGET_USD = 2.1e-5
"""For each request that is sent: a fifth of them count against it, and it is used up before the end."""
FULL_S = 300.0


@click.command()
@click.option("--seconds", type=click.FloatRange(60), default=600.0, show_default=True)
@click.option("--rate", type=click.FloatRange(1), default=300.0, show_default=True, help="Requests a second.")
@click.option("--workers", type=click.IntRange(2), default=4, show_default=True)
def main(seconds: float, rate: float, workers: int) -> None:
    """Run it and print the verdict."""
    full = seconds >= FULL_S
    plan = Plan(
        seconds,
        rate,
        workers,
        stall_s=20 if full else 5,
        database_s=60 if full else 15,
        quota_s=20 if full else 4,
        stalls=3 if full else 1,
        budget_usd=seconds * rate * BUDGET_USD,
        timed=True,
    )
    with tempfile.TemporaryDirectory(prefix="switchgear-soak-") as folder:
        verdict = uvloop.run(chaos(Path(folder), plan))
    click.echo(verdict.text())
    sys.exit(1 if verdict.wrong else 0)


if __name__ == "__main__":
    main()
