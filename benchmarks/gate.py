"""Holds what was measured against benchmarks/budgets.toml.

    python benchmarks/gate.py [--overhead results/overhead.json] [--micro results/micro.json]

Exit status 0 when every budget that could be judged is kept; 1 when one is exceeded, was not measured, or was measured
with failed requests. A budget is for the server it names, for `switchgear` where it names none. A budget whose
reference is not on this machine (nginx) is judged by its fallback, or said not to be judged.
"""

from __future__ import annotations

import fnmatch
import json
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
from rich.markup import escape
from rich.table import Table

from harness.machine import reference_loops
from harness.report import console

BUDGETS = Path(__file__).with_name("budgets.toml")
GATEWAY = "switchgear"
Verdict = Literal["kept", "over", "errors", "not measured", "not judged"]
FAILING: tuple[Verdict, ...] = ("over", "errors", "not measured")
STYLE = {"kept": "green", "over": "bold red", "errors": "bold red", "not measured": "red", "not judged": "yellow"}


@dataclass
class Judgement:
    """One row. measured and limit are in the budget's own terms; detail says what they come from."""

    name: str
    limit: str
    measured: str
    verdict: Verdict
    detail: str = ""
    excess: float = 0.0
    """Measured over limit, where that is a number; more than 1 is over."""


def _median(figures: dict[str, Any] | None, name: str) -> float | None:
    figure = (figures or {}).get(name)
    return None if figure is None else float(figure["median"])


def _ratio(budget: dict[str, Any], servers: dict[str, Any], reference: str, ratio: float) -> Judgement | None:
    """None when the reference was not measured."""
    server = budget.get("server", GATEWAY)
    ours, theirs = (_median(servers.get(name), budget["figure"]) for name in (server, reference))
    if theirs is None:
        return None
    limit = f"{ratio:g} x {reference}"
    if ours is None:
        return Judgement(budget["name"], limit, "-", "not measured")
    if theirs <= 0:  # an added latency within the noise of the base line
        return Judgement(budget["name"], limit, f"{ours:.1f}", "not judged", f"{reference}: {theirs:.1f}")
    measured = ours / theirs
    return Judgement(
        budget["name"],
        limit,
        f"{measured:.2f} x",
        "kept" if measured <= ratio else "over",
        f"{ours:.1f} against {theirs:.1f} µs",
        measured / ratio,
    )


def judge_overhead(budget: dict[str, Any], results: dict[str, Any]) -> Judgement:
    """One [[overhead]] entry."""
    servers = results.get("scenarios", {}).get(budget["scenario"])
    limit = f"{budget['limit']:g}" if "limit" in budget else f"{budget['ratio']:g} x {budget['reference']}"
    server = budget.get("server", GATEWAY)
    if not servers or server not in servers:
        return Judgement(budget["name"], limit, "-", "not measured", f"{server} in scenario {budget['scenario']}")
    ours = servers[server]
    if "limit" in budget:
        value = _median(ours, budget["figure"])
        if value is None:
            return Judgement(budget["name"], limit, "-", "not measured")
        verdict: Verdict = "kept" if value <= budget["limit"] else "over"
        judged = Judgement(budget["name"], limit, f"{value:g}", verdict, excess=value / budget["limit"])
    else:
        found = _ratio(budget, servers, budget["reference"], budget["ratio"])
        fallback = budget.get("fallback")
        if found is None and fallback:
            found = _ratio(budget, servers, fallback["reference"], fallback["ratio"])
        judged = found or Judgement(budget["name"], limit, "-", "not judged", f"{budget['reference']} was not measured")
    if budget.get("reference", "").startswith(GATEWAY) and judged.verdict == "not judged":
        judged.verdict = "not measured"  # a reference of our own is on every machine
    errors = ours["errors"] + servers.get(budget.get("reference"), {}).get("errors", 0)
    if errors:
        judged.verdict, judged.detail = "errors", f"{errors} failed requests"
    elif ours["notes"]:
        judged.detail = "; ".join([judged.detail, *ours["notes"]]).lstrip("; ")
    return judged


def _slowest(benchmarks: Iterable[dict[str, Any]], pattern: str) -> dict[str, Any] | None:
    found = [one for one in benchmarks if fnmatch.fnmatchcase(one["name"], pattern)]
    return max(found, key=lambda one: float(one["stats"]["median"]), default=None)


RATES = {"limit_bytes_per_s": ("bytes", 1e9, "{:.2f} GB/s"), "limit_rows_per_s": ("rows", 1, "{:,.0f} rows/s")}
"""By a budget's key: what a round moves (in extra_info), the unit shown, and how."""


def judge_micro(budget: dict[str, Any], benchmarks: list[dict[str, Any]], factors: dict[str, float]) -> Judgement:
    """One [[micro]] entry."""
    one = _slowest(benchmarks, budget["test"])
    if "figure" in budget:
        return _micro_figure(budget, one)
    factor = factors[budget["loop"]]
    for key, (moved, unit, shown) in RATES.items():
        if key in budget:
            limit = budget[key] / factor
            if one is None:
                break
            rate = one["extra_info"][moved] / float(one["stats"]["median"])
            return _micro(budget, one, factor, (shown.format(limit / unit), shown.format(rate / unit)), limit / rate)
    else:
        limit = budget["limit_us"] * factor
        if one is not None:
            us = float(one["stats"]["median"]) * 1e6 / one.get("extra_info", {}).get("operations", 1)
            return _micro(budget, one, factor, (f"{limit:.2f} µs", f"{us:.2f} µs"), us / limit)
    return Judgement(budget["name"], f"{limit:,.2f}", "-", "not measured", f"no test {budget['test']}")


def _micro(
    budget: dict[str, Any], one: dict[str, Any], factor: float, texts: tuple[str, str], excess: float
) -> Judgement:
    """texts: limit and measured. excess: more than 1 is over."""
    detail = f"{one['name']}, machine x {factor:.2f}"
    return Judgement(budget["name"], *texts, "kept" if excess <= 1 else "over", detail, excess)


def _micro_figure(budget: dict[str, Any], one: dict[str, Any] | None) -> Judgement:
    """A figure in extra_info that is no time, and the same on every machine."""
    limit = f"{budget['limit']:g}"
    value = None if one is None else one.get("extra_info", {}).get(budget["figure"])
    if one is None or value is None:
        return Judgement(
            budget["name"], limit, "-", "not measured", f"no {budget['figure']} of a test {budget['test']}"
        )
    excess = value / budget["limit"]
    return Judgement(budget["name"], limit, f"{value:g}", "kept" if excess <= 1 else "over", one["name"], excess)


def judge(budgets: dict[str, Any], overhead: dict[str, Any], micro: dict[str, Any]) -> Iterator[Judgement]:
    """Every budget, in the file's order."""
    for budget in budgets.get("overhead", ()):
        yield judge_overhead(budget, overhead)
    loops = reference_loops()
    factors = {name: loops[name] / usual for name, usual in budgets["reference_machine"].items()}
    for budget in budgets.get("micro", ()):
        yield judge_micro(budget, micro.get("benchmarks", []), factors)


def _load(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


@click.command()
@click.option("--overhead", type=click.Path(path_type=Path), default=Path("results/overhead.json"), show_default=True)
@click.option("--micro", type=click.Path(path_type=Path), default=Path("results/micro.json"), show_default=True)
@click.option("--budgets", type=click.Path(path_type=Path, exists=True), default=BUDGETS, show_default=True)
@click.option(
    "--regressions",
    type=float,
    metavar="FACTOR",
    help="Fail only beyond FACTOR times a budget: a short run on a shared machine sees a regression, not a budget.",
)
def main(overhead: Path, micro: Path, budgets: Path, regressions: float | None) -> None:
    """Compare the results with the budgets; fail when one is exceeded."""
    judged = list(judge(tomllib.loads(budgets.read_text()), _load(overhead), _load(micro)))
    table = Table(title="budgets", title_justify="left")
    for heading in ("budget", "limit", "measured", "verdict", "detail"):
        table.add_column(heading, overflow="fold")
    for one in judged:
        table.add_row(one.name, one.limit, one.measured, f"[{STYLE[one.verdict]}]{one.verdict}[/]", escape(one.detail))
    console().print(table, highlight=False)
    unjudged = [one.name for one in judged if one.verdict == "not judged"]
    if unjudged:
        click.echo(f"not judged: {', '.join(unjudged)}")
    failing = [one for one in judged if one.verdict in FAILING]
    if regressions is not None:
        for one in failing:
            if one.verdict == "over" and one.excess <= regressions:
                click.echo(f"over its budget, within {regressions:g} times of it: {one.name}: {one.measured}")
        failing = [one for one in failing if one.verdict != "over" or one.excess > regressions]
    for one in failing:
        click.echo(f"{one.verdict}: {one.name}: {one.measured}, limit {one.limit}", err=True)
    sys.exit(1 if failing else 0)


if __name__ == "__main__":
    main()
