"""Counting what the gateway does, in memory that every worker can read.

A label set is a few slots in this worker's slab, handed out when first used and never taken back. The request path
knows slots, not names: `settle` finds a request's `RequestHandles` in one dictionary and adds to integers. `render`
sums the slabs of all workers at that instant (`shared`), so one scrape of any worker shows them all.

Label sets are bounded twice. Names that clients choose (models) get a label of their own only when they are declared
in the configuration or, up to `MAX_DYNAMIC_NAMES`, when an upstream has answered for them; anything else is `_other`.
And no metric has more than `MAX_SETS` sets in a worker; what comes after is counted under `_other` in every label.
"""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from switchgear import __version__
from switchgear.errors import ClientDisconnected, GatewayError, UpstreamError, UpstreamRejected
from switchgear.observability.definitions import BY_NAME, METRICS, status_label
from switchgear.observability.exposition import render
from switchgear.observability.shared import OTHER, Directory, Labels, Own, add

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from switchgear.types import RequestContext, Usage

MAX_SETS = 2_000
MAX_DYNAMIC_NAMES = 256
MAX_LABEL_CHARS = 256
_PROCESS_EVERY_S = 1.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CLIENT_LEFT = 499


class RequestHandles:
    """Slots of one (endpoint, model, target), found when first needed. -1: not yet."""

    __slots__ = ("_labels", "_metrics", "durations", "first_token", "statuses", "tokens")

    def __init__(self, metrics: Metrics, endpoint: str, model: str, target: str):
        self._metrics = metrics
        self._labels = (endpoint, model, target)
        self.statuses: dict[int, int] = {}
        self.durations = [-1, -1]
        self.first_token = -1
        self.tokens: dict[str, int] = {}

    def requests(self, status: int) -> int:
        """Slot of `switchgear_requests_total` for a status."""
        slot = self.statuses.get(status)
        if slot is None:
            slot = self._metrics.slot("switchgear_requests_total", *self._labels, status_label(status))
            if 100 <= status <= 999:  # keeps the dictionary bounded whatever a caller passes
                self.statuses[status] = slot
        return slot

    def duration(self, stream: bool) -> int:
        """First slot of `switchgear_request_duration_seconds`."""
        slot = self.durations[stream]
        if slot < 0:
            endpoint, model, _ = self._labels
            slot = self._metrics.slot(
                "switchgear_request_duration_seconds", endpoint, model, "true" if stream else "false"
            )
            self.durations[stream] = slot
        return slot

    def first(self) -> int:
        """First slot of `switchgear_first_token_seconds`."""
        if self.first_token < 0:
            self.first_token = self._metrics.slot("switchgear_first_token_seconds", *self._labels)
        return self.first_token

    def token(self, kind: str) -> int:
        """Slot of `switchgear_tokens_total` for a class."""
        slot = self.tokens.get(kind)
        if slot is None:
            _, model, target = self._labels
            slot = self.tokens[kind] = self._metrics.slot("switchgear_tokens_total", model, target, kind)
        return slot


class Metrics:
    """This worker's counters, and the view on all workers'.

    run_dir: directory shared by the workers of one gateway. worker_id: part of the file names; may be used again.
    Raises `OSError` when the files cannot be made. Counting never raises for want of room.
    """

    def __init__(self, run_dir: Path, worker_id: str, *, max_sets: int = MAX_SETS):
        self._max_sets = max_sets
        self._slots: dict[str, dict[Labels, int]] = {definition.name: {} for definition in METRICS}
        self._next = 0
        slots = sum(definition.width * ((max_sets + 1) if definition.labels else 1) for definition in METRICS)
        self._own = Own(run_dir, worker_id, slots)
        self.slab = self._own.slab
        self._directory = Directory(run_dir, self._own.path, max_sets)
        self._rendering = threading.Lock()
        self._models: set[str] = {"", OTHER}
        self._targets: set[str] = {""}
        self._dynamic = 0
        self._families: set[str] = set()
        self._requests: dict[tuple[str, str, str], RequestHandles] = {}
        self._lag = self.slot("switchgear_event_loop_lag_seconds")
        self._lag_bounds = BY_NAME["switchgear_event_loop_lag_seconds"].buckets
        self._latency_bounds = BY_NAME["switchgear_request_duration_seconds"].buckets
        self._in_flight = self.slot("switchgear_in_flight")
        self._streams = self.slot("switchgear_streams_open")
        self._swept_at = 0.0
        self._process_at = 0.0
        self.slab.set(self.slot("switchgear_worker_up"), 1.0)
        self.slab.set(self.slot("switchgear_build_info", __version__, platform.python_version()), 1.0)
        self.slot("switchgear_log_lines_dropped_total")
        self._observe_process()

    def slot(self, metric: str, *labels: str) -> int:
        """First slot of a label set, for `slab.add` and the like; beyond the bound that of the set `_other`.

        Raises `KeyError` for an unknown metric, `ValueError` for a wrong number of labels.
        """
        slots = self._slots[metric]
        found = slots.get(labels)
        return self._new_slot(metric, slots, labels) if found is None else found

    def _new_slot(self, metric: str, slots: dict[Labels, int], labels: Labels) -> int:
        definition = BY_NAME[metric]
        if len(labels) != len(definition.labels):
            raise ValueError(f"{metric} has the labels {', '.join(definition.labels)}")
        labels = tuple(_clean(value) for value in labels)
        if labels not in slots and len(slots) >= self._max_sets:
            labels = (OTHER,) * len(labels)
        found = slots.get(labels)
        if found is None:
            found = self._next
            self._own.append(metric, found, labels)
            self._next += definition.width
            slots[labels] = found
        return found

    # Names

    def declare(self, models: Iterable[str], targets: Iterable[str]) -> None:
        """The names of the configuration: each has a label of its own. targets: `provider/model`."""
        self._models.update(models)
        self._targets.update(targets)

    def _admit(self, model: str, target: str) -> None:
        if self._dynamic < MAX_DYNAMIC_NAMES:
            self._dynamic += 1
            self._models.add(model)
            self._targets.add(target)

    def _target_label(self, target: str) -> str:
        # The part before the slash is a configured provider, the rest may be what a client wrote.
        return target if target in self._targets else f"{target.partition('/')[0]}/{OTHER}"

    # Requests

    def request_handles(self, endpoint: str, model: str, target: str) -> RequestHandles:
        """Handles of a kind of request; unknown names share one."""
        if model not in self._models:
            model = OTHER
        target = self._target_label(target)
        key = (endpoint, model, target)
        found = self._requests.get(key)
        if found is None:
            if len(self._requests) >= self._max_sets:
                key = (OTHER, OTHER, OTHER)
            found = self._requests.setdefault(key, RequestHandles(self, *key))
        return found

    def settle(self, ctx: RequestContext, now: float) -> None:
        """Count a request that has ended, however it did. now: `loop.time()`."""
        target = "" if ctx.target is None else ctx.target.name
        status = ctx.status or _status_of(ctx.error)
        if 200 <= status < 300 and (ctx.model not in self._models or target not in self._targets):
            self._admit(ctx.model, target)
        handles = self.request_handles(ctx.endpoint.name, ctx.model, target)
        slab, bounds = self.slab, self._latency_bounds
        slab.add(handles.requests(status))
        slab.observe(handles.duration(ctx.stream), bounds, now - ctx.started_at)
        if ctx.stream and ctx.first_byte_at > 0:
            slab.observe(handles.first(), bounds, ctx.first_byte_at - ctx.started_at)
        if ctx.usage is not None:
            self._count_tokens(handles, ctx.usage)
        if target and ctx.status and not isinstance(ctx.error, UpstreamError):  # `upstream_failed` has counted those
            self.attempted(target, "answered")
        if isinstance(ctx.error, ClientDisconnected | asyncio.CancelledError):
            phase = "streaming" if ctx.status else "waiting" if ctx.attempts else "admission"
            slab.add(self.slot("switchgear_client_disconnects_total", phase))

    def unary_slots(self, endpoint: str, model: str, target: str) -> tuple[object, ...]:
        """What the compiled path counts by itself: slots of requests (200), duration, attempts, input and output
        tokens, and a function for the other classes of tokens."""
        handles = self.request_handles(endpoint, model, target)
        return (
            handles.requests(200),
            handles.duration(False),
            self.slot("switchgear_upstream_attempts_total", self._target_label(target), "answered"),
            handles.token("input"),
            handles.token("output"),
            partial(self._count_details, handles),
        )

    @property
    def latency_bounds(self) -> tuple[float, ...]:
        """Upper bounds of the latency histograms' buckets, seconds."""
        return self._latency_bounds

    def _count_tokens(self, handles: RequestHandles, usage: Usage) -> None:
        add = self.slab.add
        if usage.input_tokens:
            add(handles.token("input"), usage.input_tokens)
        if usage.output_tokens:
            add(handles.token("output"), usage.output_tokens)
        self._count_details(handles, usage)

    def _count_details(self, handles: RequestHandles, usage: Usage) -> None:
        add = self.slab.add
        if usage.cached_tokens:
            add(handles.token("cached"), usage.cached_tokens)
        if usage.cache_write_tokens:
            add(handles.token("cache_write"), usage.cache_write_tokens)
        if usage.reasoning_tokens:
            add(handles.token("reasoning"), usage.reasoning_tokens)

    def stream_opened(self) -> None:
        """An event stream began."""
        self.slab.add(self._streams)

    def stream_closed(self) -> None:
        """It ended."""
        self.slab.add(self._streams, -1.0)

    # Upstreams

    def attempted(self, target: str, outcome: str) -> None:
        """An attempt at a target ended. outcome: from a fixed set of words."""
        self.slab.add(self.slot("switchgear_upstream_attempts_total", self._target_label(target), outcome))

    def upstream_failed(self, target: str, kind: str) -> None:
        """An attempt failed; counts as an attempt too."""
        self.attempted(target, kind)
        self.slab.add(self.slot("switchgear_upstream_errors_total", self._target_label(target), kind))

    def retried(self, target: str) -> None:
        """Another attempt is made because the one at this target failed."""
        self.slab.add(self.slot("switchgear_retries_total", self._target_label(target)))

    def connections(self, provider: str, *, busy: int, idle: int, waiting: int) -> None:
        """A provider's connections, and the requests waiting for one, at the moment."""
        for state, count in (("busy", busy), ("idle", idle), ("waiting", waiting)):
            self.slab.set(self.slot("switchgear_upstream_connections", provider, state), count)

    def breaker(self, target: str, is_open: bool) -> None:
        """Whether a target's breaker is open or half-open here."""
        self.slab.set(self.slot("switchgear_breaker_open", self._target_label(target)), float(is_open))

    def credential(self, provider: str, credential: str, state: str) -> None:
        """A credential's state here: `available`, `throttled` or `invalid`. credential: its name."""
        for known in ("available", "throttled", "invalid"):
            self.slab.set(self.slot("switchgear_credential_state", provider, credential, known), float(state == known))

    # The worker itself

    def sweep(self, now: float, *, interval_s: float, in_flight: int) -> None:
        """Call with every periodic sweep. now: `loop.time()`. interval_s: after which it should have come again."""
        if self._swept_at:
            self.slab.observe(self._lag, self._lag_bounds, max(0.0, now - self._swept_at - interval_s))
        self._swept_at = now
        self.slab.set(self._in_flight, in_flight)
        if now - self._process_at >= _PROCESS_EVERY_S:
            self._process_at = now
            self._observe_process()

    def config_reloaded(self, result: str, wall_clock: float | None = None) -> None:
        """result: `ok` or `error`. wall_clock: Unix time, now where not given."""
        self.slab.add(self.slot("switchgear_config_reloads_total", result))
        if result == "ok":
            moment = time.time() if wall_clock is None else wall_clock
            self.slab.set(self.slot("switchgear_config_last_reload_timestamp_seconds"), moment)

    def count(self, metric: str, *labels: str) -> None:
        """One more of a counter of `definitions`, with values from bounded sets for its labels."""
        self.slab.add(self.slot(metric, *labels))

    def ledger(self, *, backlog_bytes: int, drained_rows: int, dropped_rows: int, reachable: bool) -> None:
        """How the ledger of this worker fares; rows are totals."""
        self.slab.set(self.slot("switchgear_ledger_backlog_bytes"), backlog_bytes)
        self.slab.set(self.slot("switchgear_ledger_drained_rows_total"), drained_rows)
        self.slab.set(self.slot("switchgear_ledger_dropped_rows_total"), dropped_rows)
        self.slab.set(self.slot("switchgear_ledger_database_up"), 1.0 if reachable else 0.0)

    def estimates(self, errors: Mapping[str, float]) -> None:
        """By family of models, how far estimates of prompt tokens are off here: mean of |estimated - counted| /
        counted. A family gets a label once an upstream has counted for it, up to `MAX_DYNAMIC_NAMES`; one that is no
        longer among them goes to 0."""
        for family in self._families - errors.keys():
            self.slab.set(self.slot("switchgear_prompt_estimate_error_ratio", family), 0.0)
        for family, error in errors.items():
            if family not in self._families and len(self._families) >= MAX_DYNAMIC_NAMES:
                continue
            self._families.add(family)
            self.slab.set(self.slot("switchgear_prompt_estimate_error_ratio", family), error)

    def log_lines_dropped(self, count: int) -> None:
        """Lines that the log writer could not keep."""
        self.slab.add(self.slot("switchgear_log_lines_dropped_total"), count)

    def _observe_process(self) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.slab.set(self.slot("switchgear_process_cpu_seconds_total"), used.ru_utime + used.ru_stime)
        self.slab.set(self.slot("switchgear_process_resident_memory_bytes"), _resident_bytes(used.ru_maxrss))

    def render(self, accept: str = "") -> tuple[str, bytes]:
        """Content type and text of all workers' metrics. Takes milliseconds to tens of them: call it in a thread."""
        with self._rendering:
            sums = self._directory.sums()
            if self._own.closed:
                return render(sums, accept)
            self._observe_process()
            for metric, slots in self._slots.items():
                definition = BY_NAME[metric]
                # A copy in one step: the loop's thread may add a set meanwhile.
                for labels, first in list(slots.items()):
                    add(sums, definition, labels, self.slab.read(first, definition.width))
            return render(sums, accept)

    def close(self) -> None:
        """This worker ends; its counters stay, its gauges go. What is counted after is lost. Idempotent."""
        with self._rendering:
            self._directory.close()
            self._own.close()


def _status_of(error: BaseException | None) -> int:
    """What the client was told, where no answer was relayed."""
    if isinstance(error, ClientDisconnected | asyncio.CancelledError):
        return _CLIENT_LEFT
    if isinstance(error, UpstreamRejected) and error.status == 401:
        return 502  # the gateway's own credential, not the client's (DESIGN §7)
    return error.status if isinstance(error, GatewayError) else 500


def _clean(value: str) -> str:
    # A lone surrogate, which JSON can carry, has no UTF-8.
    return value[:MAX_LABEL_CHARS].encode("utf-8", "replace").decode()


def _resident_bytes(peak_kib: int) -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return peak_kib * 1024  # no /proc: the peak is the nearest there is
