"""Measuring: rounds in turn over the servers, so that what disturbs the machine disturbs all alike.

A figure is the median of the rounds; its spread is (max - min) / median. CPU is what the server's process tree used
between the edges of the measured window, by the scheduler's clock, divided by the answers (or events) read in it.
Latency added is the server's minus the upstream's own of the same round.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.loadclient import LoadClient, Sample
from harness.scenarios import HELD, Scenario, write_requests
from harness.servers import Server

FULL = 0.96  # share of a core above which what runs there sets the pace
DISTURBED = 0.08  # share of the server's core used by others
HISTOGRAMS = {
    "unary": {"latency": "latency_us"},
    "stream": {"first_event": "first_event_us", "event": "event_delay_us", "gap": "gap_us"},
}
LATE = 0.95  # share of the events that are due, below which the upstream or the server was late


@dataclass
class Plan:
    """How long and how often, and on which cores (None: not pinned)."""

    seconds: float
    rounds: int
    server_core: int | None
    load_core: int | None


@dataclass
class Entry:
    """A server in a scenario with its request files and its samples by round."""

    server: Server
    requests: list[Path]
    samples: list[Sample] = field(default_factory=list)


class ProbeFailed(Exception):
    """A server does not answer as the scenario needs it: nothing is measured."""


def probe(server: Server, scenario: Scenario, request: Path) -> None:
    """One request, answer looked at as a whole. Raises `ProbeFailed`."""
    parts = urlsplit(server.url(scenario))
    head, _, body = request.read_bytes().partition(b"\n\n")
    lines = head.decode().splitlines()
    headers = dict(line.split(": ", 1) for line in lines[1:])
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("POST", scenario.path, body, headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise ProbeFailed(f"{server.name}, {scenario.name}: status {answer.status}: {answer.read(500)!r}")
        if scenario.mode == "unary":
            json.loads(answer.read())
        elif not answer.readline().startswith(b"data: {"):
            raise ProbeFailed(f"{server.name}, {scenario.name}: the answer is not a stream of events")
        elif scenario.mode == "stream" and not answer.read().endswith(b"data: [DONE]\n\n"):
            raise ProbeFailed(f"{server.name}, {scenario.name}: the stream does not end with [DONE]")
    except (OSError, ValueError) as exc:
        raise ProbeFailed(f"{server.name}, {scenario.name}: {exc!r}") from exc
    finally:
        connection.close()


def entries(scenario: Scenario, servers: Iterable[Server], folder: Path) -> list[Entry]:
    """Those that serve the scenario, each probed. Raises `ProbeFailed`."""
    found = []
    for server in servers:
        if not server.serves(scenario):
            continue
        models = [server.model(scenario, number) for number in range(scenario.models)]
        requests = write_requests(scenario, folder / server.name, server.key, models)
        probe(server, scenario, requests[0])
        found.append(Entry(server, requests))
    return found


def _window(scenario: Scenario, plan: Plan) -> tuple[float, float]:
    """(warm-up, measured) in s. Streams are opened over half the warm-up, which lasts a stream's length."""
    if scenario.timing is None:
        return min(1.0, max(0.3, plan.seconds / 4)), plan.seconds
    return scenario.timing.length_s + 0.5, max(plan.seconds, 2.0)


def run_rounds(
    scenario: Scenario, found: Sequence[Entry], client: LoadClient, plan: Plan, tell: Callable[[str], None]
) -> None:
    """Fills the entries' samples. Raises `LoadFailed`."""
    warmup, seconds = _window(scenario, plan)
    options = ["--schedule", scenario.timing.schedule] if scenario.timing else []
    if scenario.rate:
        options += ["--rate", str(scenario.rate)]
    for number in range(plan.rounds):
        for entry in found:
            tell(f"{scenario.name}: round {number + 1} of {plan.rounds}, {entry.server.name}")
            entry.samples.append(_sample(scenario, entry, client, (warmup, seconds), options))
            time.sleep(entry.server.rest_s)


def _sample(
    scenario: Scenario, entry: Entry, client: LoadClient, window: tuple[float, float], options: Sequence[str]
) -> Sample:
    """One run. What works beside the server is taken out of `watched` into `beside`, by name."""
    (warmup, seconds), server = window, entry.server
    url, pids, beside, calls = server.url(scenario), server.pids(), server.beside(), server.state_calls()
    sample = client.run(
        scenario.mode, url, entry.requests, scenario.connections, seconds, warmup, [*pids, *beside.values()], options
    )
    now = server.state_calls()
    sample["state_calls"] = now - calls if now is not None and calls is not None else None
    watched = {one["pid"]: one for one in sample["watched"]}
    sample["beside"] = {name: watched.pop(pid) for name, pid in beside.items()}
    sample["watched"] = list(watched.values())
    return sample


def hold(scenario: Scenario, entry: Entry, client: LoadClient, seconds: float) -> Sample:
    """Opens the streams and weighs the server while they are open."""
    options = ["--ramp", f"{scenario.connections / 1000:g}", "--timeout", f"{HELD.gap_ms / 1000 + 10:g}"]
    url, pids = entry.server.url(scenario), entry.server.pids()
    return client.run("hold", url, entry.requests, scenario.connections, seconds, 0, pids, options)


def cpu_s(sample: Sample) -> float:
    return sum(float(one["cpu_s"]) for one in sample["watched"])


def _figure(values: Sequence[float], digits: int = 2) -> dict[str, float] | None:
    if not values:
        return None
    middle = statistics.median(values)
    spread = (max(values) - min(values)) / middle if middle else 0.0
    return {
        "median": round(middle, digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "spread": round(abs(spread), 3),
    }


def _quantile(sample: Sample, name: str, quantile: str) -> float | None:
    histogram = sample.get(name)
    return None if histogram is None else float(histogram[quantile])


def _differences(entry: Entry, base: Entry | None, name: str, quantile: str) -> list[float]:
    pairs = zip(entry.samples, base.samples if base else [], strict=False)
    both = ((_quantile(sample, name, quantile), _quantile(other, name, quantile)) for sample, other in pairs)
    return [ours - theirs for ours, theirs in both if ours is not None and theirs is not None]


def _notes(scenario: Scenario, entry: Entry, plan: Plan) -> list[str]:
    """What a reader must know to judge the figures: saturation, disturbance, errors."""
    notes = set()
    measured = entry.server.measured
    for sample in entry.samples:
        window, used = sample["window_s"], cpu_s(sample)
        if sample["errors"]:
            notes.add(f"errors: {sample['errors']}")
        if any(one["lost"] for one in (*sample["watched"], *sample["beside"].values())):
            notes.add("a process of the server ended while it was measured: CPU is incomplete")
        busy = [core / window for core in sample["cores_busy_s"]]
        if measured and plan.load_core is not None and busy[plan.load_core] > FULL and used / window < FULL:
            notes.add("the load generator's core was full: rate and latency are its own, CPU per answer stands")
        if measured and plan.server_core is not None and busy[plan.server_core] - used / window > DISTURBED:
            notes.add("other work ran on the server's core")
        if scenario.rate and sample["requests_per_s"] < scenario.rate * LATE:
            notes.add(f"not all that was due was answered: {sample['requests_per_s']:.0f}/s of {scenario.rate}/s")
        if scenario.mode == "stream" and scenario.timing:
            due = scenario.connections * scenario.timing.events / scenario.timing.length_s
            if sample["events_per_s"] < due * LATE:
                notes.add(f"events came late: {sample['events_per_s']:.0f}/s of {due:.0f}/s due")
    return sorted(notes)


def summary(scenario: Scenario, entry: Entry, base: Entry | None, plan: Plan) -> dict[str, Any]:
    """The figures of one server in one scenario, times in µs."""
    samples, count = entry.samples, "requests" if scenario.mode == "unary" else "events"
    found: dict[str, Any] = {
        "about": entry.server.about,
        f"{count}_per_s": _figure([sample[f"{count}_per_s"] for sample in samples], 0),
        "errors": sum(sum(sample["errors"].values()) for sample in samples),
        "notes": _notes(scenario, entry, plan),
        "server_core_share": _figure([cpu_s(sample) / sample["window_s"] for sample in samples], 3),
        "load_core_share": (
            _figure([sample["cores_busy_s"][plan.load_core] / sample["window_s"] for sample in samples], 3)
            if plan.load_core is not None
            else None
        ),
        "rounds": samples,
    }
    if entry.server.measured and all(sample["watched"] and sample[count] for sample in samples):
        found["cpu_us"] = _figure([cpu_s(sample) / sample[count] * 1e6 for sample in samples])
        found["rss_mb"] = round(sum(one["rss_max_bytes"] for one in samples[-1]["watched"]) / 2**20, 1)
    found |= _beside(entry, count)
    for short, name in HISTOGRAMS[scenario.mode].items():
        for quantile in ("p50", "p99"):
            values = [value for sample in samples if (value := _quantile(sample, name, quantile)) is not None]
            found[f"{short}_{quantile}_us"] = _figure(values, 1)
            if base is not None and base is not entry:
                found[f"added_{short}_{quantile}_us"] = _figure(_differences(entry, base, name, quantile), 1)
    return found


def _beside(entry: Entry, count: str) -> dict[str, Any]:
    """What the shared state cost: its CPU per answer of the window, its calls per 1,000 answers of the whole run."""
    found: dict[str, Any] = {}
    for name in entry.server.beside():
        used = [sample["beside"][name]["cpu_s"] / sample[count] * 1e6 for sample in entry.samples if sample[count]]
        found[f"{name}_cpu_us"] = _figure(used)
    calls = [
        sample["state_calls"] / sample["completed"] * 1000
        for sample in entry.samples
        if sample["state_calls"] is not None and sample["completed"]
    ]
    if calls:
        found["state_calls_per_1000"] = _figure(calls)
    return found


def hold_summary(scenario: Scenario, samples: Sequence[Sample]) -> dict[str, Any]:
    """Memory: of the largest process (the worker) when idle, of the whole tree, and by open stream."""

    def each(value: Callable[[Sample], float]) -> dict[str, float] | None:
        return _figure([value(sample) for sample in samples], 1)

    def grown_bytes(sample: Sample) -> float:
        return float(sum(one["rss_max_bytes"] - one["rss_before_bytes"] for one in sample["watched"]))

    return {
        "idle_worker_mb": each(lambda sample: max(one["rss_before_bytes"] for one in sample["watched"]) / 2**20),
        "idle_total_mb": each(lambda sample: sum(one["rss_before_bytes"] for one in sample["watched"]) / 2**20),
        "held_total_mb": each(lambda sample: sum(one["rss_max_bytes"] for one in sample["watched"]) / 2**20),
        "per_stream_kib": each(lambda sample: grown_bytes(sample) / scenario.connections / 1024),
        "open": min(sample["open"] for sample in samples),
        "errors": sum(sum(sample["errors"].values()) for sample in samples),
        "notes": sorted({f"errors: {sample['errors']}" for sample in samples if sample["errors"]}),
        "rounds": list(samples),
    }
