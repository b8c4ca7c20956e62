"""The results as tables for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from harness.scenarios import SCENARIOS, Scenario

Column = tuple[str, str]
UNARY: tuple[Column, ...] = (
    ("requests/s", "requests_per_s"),
    ("p50 µs", "latency_p50_us"),
    ("added p50", "added_latency_p50_us"),
    ("added p99", "added_latency_p99_us"),
)
STREAM: tuple[Column, ...] = (
    ("events/s", "events_per_s"),
    ("first event µs", "first_event_p50_us"),
    ("added first p50", "added_first_event_p50_us"),
    ("added event p50", "added_event_p50_us"),
    ("added event p99", "added_event_p99_us"),
)
HOLD: tuple[Column, ...] = (
    ("idle worker MB", "idle_worker_mb"),
    ("idle total MB", "idle_total_mb"),
    ("held total MB", "held_total_mb"),
    ("KiB/stream", "per_stream_kib"),
)
GATEWAY = "switchgear"
BESIDE = (
    ("redis_cpu_us", "µs of Redis's own CPU per request"),
    ("state_calls_per_1000", "Redis calls per 1,000 requests"),
)
COLUMNS = {"unary": UNARY, "stream": STREAM, "hold": HOLD}


def _text(figure: dict[str, float] | None) -> str:
    if figure is None:
        return "-"
    value = figure["median"]
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}"


def _ratio(figures: dict[str, Any], reference: dict[str, Any] | None) -> str:
    ours, theirs = figures.get("cpu_us"), (reference or {}).get("cpu_us")
    return f"{ours['median'] / theirs['median']:.2f}" if ours and theirs else "-"


def table(scenario: Scenario, servers: dict[str, Any]) -> Table:
    """One scenario, a row for each server: CPU, its spread over the rounds, and CPU as a multiple of nginx's and of the
    plain gateway's."""
    built = Table(title=f"{scenario.name}: {scenario.about}", title_justify="left")
    built.add_column("server")
    if scenario.mode != "hold":
        for heading in (f"CPU µs/{scenario.per}", "±", "x nginx", "x switchgear"):
            built.add_column(heading, justify="right")
    for heading, _ in COLUMNS[scenario.mode]:
        built.add_column(heading, justify="right")
    if scenario.mode != "hold":
        built.add_column("RSS MB", justify="right")
    built.add_column("errors", justify="right")
    for name, figures in servers.items():
        row = [name]
        if scenario.mode != "hold":
            cpu = figures.get("cpu_us")
            row += [_text(cpu), f"{cpu['spread']:.0%}" if cpu else "-"]
            row += [_ratio(figures, servers.get(reference)) for reference in ("nginx", GATEWAY)]
        row += [_text(figures.get(key)) for _, key in COLUMNS[scenario.mode]]
        if scenario.mode != "hold":
            row.append(str(figures.get("rss_mb", "-")))
        built.add_row(*row, str(figures["errors"]))
    return built


def console() -> Console:
    """For tables: as wide as the terminal; wide enough for all columns in a log file."""
    wide = Console()
    return wide if wide.is_terminal else Console(width=max(wide.width, 180))


def show(results: dict[str, Any], out: Console) -> None:
    """All scenarios measured, with their notes."""
    machine = results["machine"]
    out.print(
        f"{machine['cpu']}, {machine['cores']} cores, kernel {machine['kernel']}, Python {machine['python']}, "
        f"{machine['nginx'] or 'no nginx'}; {results['date']}",
        highlight=False,
    )
    for scenario in SCENARIOS:
        servers = results["scenarios"].get(scenario.name)
        if not servers:
            continue
        out.print(table(scenario, servers))
        for name, figures in servers.items():
            for key, meaning in BESIDE:
                if key in figures:
                    out.print(f"  {name}: {_text(figures[key])} {meaning}", highlight=False)
            for note in figures["notes"]:
                out.print(f"  {name}: {note}", highlight=False)
    for name, about in legend(results).items():
        out.print(f"{name}: {about}", highlight=False)


def legend(results: dict[str, Any]) -> dict[str, str]:
    """What the rows are, by name: above all that the row `switchgear` has the ledger off."""
    servers = [item for scenario in results["scenarios"].values() for item in scenario.items()]
    return {name: figures["about"] for name, figures in servers if figures.get("about")}
