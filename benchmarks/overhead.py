"""What the gateway costs: side by side, in one run, with nothing, with nginx, with bare granian, and with peers.

    python benchmarks/overhead.py [--quick] [--only unary_32,stream_512] [--seconds 4] [--rounds 3]
        [--peer 'NAME=URL,pid=PID,key=KEY,model=MODEL']

Starts the upstreams and every server by itself; writes results/overhead.json and prints tables. README.md beside this
file has the method.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from harness import machine, report
from harness.gateways import Gateway, Metered, MeteredRedis, Translated
from harness.loadclient import LoadClient, LoadFailed
from harness.measure import Plan, ProbeFailed, entries, hold, hold_summary, run_rounds, summary
from harness.processes import StartFailed
from harness.scenarios import SCENARIOS, Scenario
from harness.servers import Bare, Context, Direct, Nginx, Peer, PeerOptions, Server, Upstream

QUICK = ("unary_1", "unary_32", "paced_1000", "stream_512", "memory")


def default_servers(peers: Sequence[PeerOptions], without: Sequence[str]) -> list[Server]:
    """In the order of the tables. nginx is left out when it is not installed."""
    servers: list[Server] = [Direct()]
    if Nginx.binary():
        servers.append(Nginx())
    servers += [Bare(), Gateway(), Translated(), Metered(), MeteredRedis()]
    servers += [Peer(options) for options in peers]
    return [server for server in servers if server.name not in without]


class Run:
    """One run of the harness: simulator, servers, load client, and the results as they come."""

    def __init__(self, plan: Plan, folder: Path, canned: bool, ports: tuple[int, int], console: Console) -> None:
        self.plan, self.folder, self.console = plan, folder, console
        self.client = LoadClient(plan.load_core)
        self.simulator = Upstream.simulator(folder, plan.load_core, ports[0])
        self.chat = Upstream.canned(folder, plan.load_core, ports[1]) if canned else self.simulator
        self.results: dict[str, Any] = {}

    @contextmanager
    def started(self, servers: Sequence[Server], many_models: bool) -> Iterator[Sequence[Server]]:
        """The servers, running. Raises `StartFailed`."""
        with ExitStack() as stack:
            for server in servers:
                folder = Path(tempfile.mkdtemp(prefix=f"{server.name}-", dir=self.folder))
                stack.callback(server.stop)
                origins = self.chat.origin, self.simulator.origin
                server.start(Context(*origins, folder, self.plan.server_core, many_models, self.plan.load_core))
            time.sleep(0.5)  # what servers do in the background after they have come up is not to be measured
            yield servers

    def stop(self) -> None:
        """The upstreams; servers end with `started`."""
        self.chat.stop()
        self.simulator.stop()

    def tell(self, text: str) -> None:
        self.console.print(text, style="dim", highlight=False)

    def measure(self, scenario: Scenario, servers: Sequence[Server]) -> None:
        """Rounds in turn; the base line is the first entry."""
        found = entries(scenario, servers, self.folder)
        run_rounds(scenario, found, self.client, self.plan, self.tell)
        base = next((entry for entry in found if not entry.server.measured), None)
        self.results[scenario.name] = {entry.server.name: summary(scenario, entry, base, self.plan) for entry in found}

    def weigh(self, scenario: Scenario, servers: Sequence[Server]) -> None:
        """Memory: each server freshly started for each round, so that nothing is left over from other scenarios."""
        weighed: dict[str, list[dict[str, Any]]] = {}
        for number in range(max(1, self.plan.rounds - 2)):
            for server in servers:
                if not server.measured or not server.serves(scenario):
                    continue
                self.tell(f"{scenario.name}: round {number + 1}, {server.name}")
                with self.started([server], many_models=False):
                    (entry,) = entries(scenario, [server], self.folder)
                    weighed.setdefault(server.name, []).append(
                        hold(scenario, entry, self.client, max(self.plan.seconds, 3.0))
                    )
        about = {server.name: server.about for server in servers}
        self.results[scenario.name] = {
            name: {"about": about[name], **hold_summary(scenario, samples)} for name, samples in weighed.items()
        }


def pick_cores(server: int | None, load: int | None) -> tuple[int | None, int | None]:
    """Cores of their own for the server and for the load; none are pinned on a machine with one core."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None, None
    return (cores[0] if server is None else server), (cores[1] if load is None else load)


def run_all(run: Run, wanted: Sequence[Scenario], servers: Sequence[Server]) -> None:
    """Scenarios that share a configuration share the servers."""
    for many_models in (False, True):
        group = [one for one in wanted if one.mode != "hold" and (one.models > 1) == many_models]
        if group:
            needed = [server for server in servers if any(server.serves(scenario) for scenario in group)]
            with run.started(needed, many_models):
                for scenario in group:
                    run.measure(scenario, needed)
    for scenario in wanted:
        if scenario.mode == "hold":
            run.weigh(scenario, servers)


@click.command()
@click.option("--only", help="Scenarios, comma-separated.")
@click.option("--quick", is_flag=True, help=f"For CI: {', '.join(QUICK)}; 2 s each.")
@click.option("--seconds", type=click.FloatRange(0.2, 600), help="Measured time of a run. Default 4; 2 with --quick.")
@click.option("--rounds", type=click.IntRange(1, 50), default=3, show_default=True, help="Runs of each server.")
@click.option("--peer", "peers", multiple=True, metavar="NAME=URL[,…]", help=PeerOptions.__doc__)
@click.option("--without", default="", help="Servers to leave out, comma-separated, by their names in the tables.")
@click.option("--server-core", type=int, help="Core of the servers under test. Default: the first.")
@click.option("--load-core", type=int, help="Core of load generator and simulator. Default: the second.")
@click.option(
    "--upstream",
    type=click.Choice(["canned", "simulator"]),
    default="canned",
    show_default=True,
    help="What answers chat. The simulator in Python is slower than nginx: see README.md.",
)
@click.option(
    "--upstream-ports",
    type=(int, int),
    default=(0, 0),
    help="Of the simulator and of the canned upstream, for peers that run already. Default: free ones.",
)
@click.option("--output", type=click.Path(path_type=Path), default=Path("results/overhead.json"), show_default=True)
def main(
    only: str | None,
    quick: bool,
    seconds: float | None,
    rounds: int,
    peers: tuple[str, ...],
    without: str,
    server_core: int | None,
    load_core: int | None,
    upstream: str,
    upstream_ports: tuple[int, int],
    output: Path,
) -> None:
    """Measure what the gateway costs, beside nothing, nginx, bare granian and peers."""
    names = only.split(",") if only else QUICK if quick else [scenario.name for scenario in SCENARIOS]
    unknown = set(names) - {scenario.name for scenario in SCENARIOS}
    if unknown:
        known = ", ".join(scenario.name for scenario in SCENARIOS)
        raise click.UsageError(f"no scenario {', '.join(sorted(unknown))}; there are {known}")
    try:
        servers = default_servers([PeerOptions.parse(peer) for peer in peers], without.split(","))
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    plan = Plan(seconds or (2.0 if quick else 4.0), rounds, *pick_cores(server_core, load_core))
    console = Console(stderr=True)
    results = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "seconds": plan.seconds,
        "rounds": rounds,
        "upstream": upstream,
        "cores": {"server": plan.server_core, "load": plan.load_core},
        "machine": machine.describe(Nginx.binary()),
        "reference_loops": machine.reference_loops(),
    }
    with tempfile.TemporaryDirectory(prefix="switchgear-bench-") as folder:
        try:
            run = Run(plan, Path(folder), upstream == "canned", upstream_ports, console)
            try:
                run_all(run, [scenario for scenario in SCENARIOS if scenario.name in names], servers)
            finally:
                run.stop()
        except (StartFailed, ProbeFailed, LoadFailed) as exc:
            raise click.ClickException(str(exc)) from exc
    results |= {"scenarios": run.results, "load_commands": run.client.commands}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1))
    report.show(results, report.console())
    click.echo(f"written to {output}", err=True)


if __name__ == "__main__":
    main()
