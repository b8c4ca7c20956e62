"""Every metric, in one table: name, kind, help, labels, and buckets where it is a histogram.

Label values come from bounded sets (endpoints, statuses, configured names, outcomes) or are bounded by
`labels.Names` and by the number of label sets per metric (`metrics.MAX_SETS`).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

from msgspec import Struct

LATENCY_S = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
)  # fmt: skip  # one scale, one line
LAG_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

Kind = Literal["counter", "gauge", "histogram"]


class Definition(Struct, frozen=True):
    """One metric. merge: how the workers' values of a gauge become one; counters and histograms are summed."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Literal["sum", "max"] = "sum"

    @property
    def width(self) -> int:
        """Slots of one label set: one, or for a histogram its buckets, +Inf and the sum."""
        return len(self.buckets) + 2 if self.kind == "histogram" else 1


_TARGET = "provider/model of the upstream"

METRICS: tuple[Definition, ...] = (
    Definition(
        "switchgear_requests_total",
        "counter",
        "Client requests by what was answered; 499: the client left before an answer.",
        ("endpoint", "model", "target", "status"),
    ),
    Definition(
        "switchgear_request_duration_seconds",
        "histogram",
        "From a request's head to the end of its answer.",
        ("endpoint", "model", "stream"),
        LATENCY_S,
    ),
    Definition(
        "switchgear_first_token_seconds",
        "histogram",
        "From a request's head to the first byte of its streamed answer.",
        ("endpoint", "model", "target"),
        LATENCY_S,
    ),
    Definition(
        "switchgear_upstream_attempts_total", "counter", "Attempts at upstreams by outcome.", ("target", "outcome")
    ),
    Definition(
        "switchgear_upstream_errors_total", "counter", "Attempts at upstreams that failed, by kind.", ("target", "kind")
    ),
    Definition("switchgear_retries_total", "counter", "Attempts made because one at this target failed.", ("target",)),
    Definition(
        "switchgear_tokens_total",
        "counter",
        "Tokens as upstreams counted them; class is input, output, cached, cache_write or reasoning.",
        ("model", "target", "class"),
    ),
    Definition("switchgear_in_flight", "gauge", "Client requests being served."),
    Definition("switchgear_streams_open", "gauge", "Event streams being relayed."),
    Definition(
        "switchgear_client_disconnects_total",
        "counter",
        "Clients that left before their answer was complete; phase is admission, waiting or streaming.",
        ("phase",),
    ),
    Definition(
        "switchgear_upstream_connections",
        "gauge",
        "Connections to a provider; state is busy or idle, waiting counts requests without one.",
        ("provider", "state"),
    ),
    Definition("switchgear_breaker_open", "gauge", "Workers in which the target's breaker is not closed.", ("target",)),
    Definition(
        "switchgear_credential_state",
        "gauge",
        "Workers in which the credential is in that state.",
        ("provider", "credential", "state"),
    ),
    Definition(
        "switchgear_ledger_backlog_bytes", "gauge", "Usage journals that are not in the database yet.", merge="max"
    ),
    Definition("switchgear_ledger_drained_rows_total", "counter", "Usage rows that were put into the database."),
    Definition("switchgear_ledger_dropped_rows_total", "counter", "Usage rows dropped for want of room."),
    Definition("switchgear_ledger_database_up", "gauge", "Workers whose drain reaches the database."),
    Definition("switchgear_config_reloads_total", "counter", "Reloads of the configuration by a worker.", ("result",)),
    Definition(
        "switchgear_config_last_reload_timestamp_seconds",
        "gauge",
        "When a worker last took up a configuration, Unix time.",
        merge="max",
    ),
    Definition("switchgear_worker_up", "gauge", "Workers that are running."),
    Definition("switchgear_build_info", "gauge", "Always 1.", ("version", "python"), merge="max"),
    Definition("switchgear_process_resident_memory_bytes", "gauge", "Resident memory, summed over workers."),
    Definition("switchgear_process_cpu_seconds_total", "counter", "User and system CPU time, summed over workers."),
    Definition(
        "switchgear_event_loop_lag_seconds", "histogram", "How late the worker's periodic sweep ran.", (), LAG_S
    ),
    Definition(
        "switchgear_limit_refusals_total",
        "counter",
        "Requests refused by a limit; scope names the kinds of its fields, not their values.",
        ("scope", "resource"),
    ),
    Definition(
        "switchgear_limit_thresholds_total",
        "counter",
        "Thresholds of budgets and soft limits passed, each once a window.",
        ("scope", "resource"),
    ),
    Definition(
        "switchgear_limit_unaccounted_total",
        "counter",
        "Requests that a limit let pass because the shared state was away, by `fail: open`.",
        ("scope", "resource"),
    ),
    Definition(
        "switchgear_prompt_estimate_error_ratio",
        "gauge",
        "Mean error of the estimate of prompt tokens, as a share of what upstreams counted; of the worst worker.",
        ("family",),
        merge="max",
    ),
    Definition(
        "switchgear_state_calls_total", "counter", "Calls of the shared state; result is ok or failed.", ("result",)
    ),
    Definition("switchgear_log_lines_dropped_total", "counter", "Log lines dropped because nobody took them in time."),
)

BY_NAME = {definition.name: definition for definition in METRICS}

FINGERPRINT = blake2b(
    repr([(d.name, d.kind, d.labels, d.buckets) for d in METRICS]).encode(), digest_size=8
).hexdigest()
"""Of the table: files of a version with another table are not read."""

STATUSES = frozenset((
    200, 201, 202, 204, 206, 301, 302, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 413, 415,
    418, 421, 422, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 520, 521, 522, 523, 524, 529,
))  # fmt: skip  # a list of numbers
"""Statuses with a label of their own; any other is shown as its hundred, `4xx`."""


def status_label(status: int) -> str:
    """The status as a label."""
    if status in STATUSES:
        return str(status)
    return f"{status // 100}xx" if 100 <= status <= 599 else "other"
