"""A page of summary from Locust's JSON."""

from __future__ import annotations

from typing import Any


def percentile_ms(entry: dict[str, Any], share: float) -> float:
    """From Locust's histogram, whose keys are rounded times in ms."""
    counts = sorted((float(time), count) for time, count in entry["response_times"].items())
    left = share * sum(count for _, count in counts)
    for time, count in counts:
        left -= count
        if left <= 0:
            return time
    return counts[-1][0] if counts else 0.0


def summarize(
    scenario: str, users: int, seconds: int, entries: list[dict[str, Any]], tracebacks: int
) -> tuple[str, int]:
    """(the page in Markdown, failed requests)."""
    failures = sum(int(entry["num_failures"]) for entry in entries)
    requests = sum(int(entry["num_requests"]) for entry in entries if entry["method"] != "FIRST")
    passed = failures == 0 and tracebacks == 0 and requests > 0
    lines = [
        f"# Load test: {scenario}",
        "",
        f"{users} users, {seconds} s: {requests} requests, {requests / seconds:.0f}/s, {failures} failed"
        f"{f', {tracebacks} tracebacks in the log of the gateway' if tracebacks else ''}. "
        f"{'Passed' if passed else 'FAILED'}.",
        "",
        "| | requests | failed | p50 ms | p95 ms | p99 ms | max ms |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for entry in sorted(entries, key=lambda one: (one["name"], one["method"])):
        times = [f"{percentile_ms(entry, share):.0f}" for share in (0.5, 0.95, 0.99)]
        worst = f"{entry['max_response_time']:.0f}"
        cells = [entry["name"], str(entry["num_requests"]), str(entry["num_failures"]), *times, worst]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n", failures or int(requests == 0)
