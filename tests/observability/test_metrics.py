"""Metrics: one scrape sums real processes, the dead are kept, label sets are bounded, the text parses."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from switchgear.errors import ClientDisconnected, InvalidRequest, UpstreamRejected, UpstreamTimeout
from switchgear.observability import shared
from switchgear.observability.definitions import METRICS, status_label
from switchgear.observability.metrics import MAX_DYNAMIC_NAMES, Metrics
from switchgear.types import Endpoint, RequestContext, Target, Usage

CHAT = Endpoint("chat.completions", "/chat/completions")
SPAWN = multiprocessing.get_context("spawn")


def context(model: str = "smart", target: Target | None = None, **fields: Any) -> RequestContext:
    ctx = RequestContext(
        CHAT, b"req-1", 100.0, method="POST", path="/chat/completions", query=b"", client_headers=[], token=b""
    )
    ctx.model, ctx.target = model, target
    for name, value in fields.items():
        setattr(ctx, name, value)
    return ctx


def scrape(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Samples by name and label values in the order of the label names."""
    _, text = metrics.render()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in parse_text(text.decode())
        for sample in family.samples
    }


def series(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for (found, labels), value in scrape(metrics).items() if found == name}


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    found = Metrics(tmp_path / "run", "0")
    found.declare(["smart"], ["a/x", "b/y"])
    return found


def test_settled_request(metrics: Metrics) -> None:
    usage = Usage(input_tokens=10, output_tokens=20, cached_tokens=4, reasoning_tokens=7)
    metrics.settle(
        context(target=Target("a", "x"), status=200, stream=True, first_byte_at=100.2, usage=usage, attempts=1), 103.0
    )
    found = scrape(metrics)
    # Labels sorted by name: endpoint, model, status, target.
    assert found["switchgear_requests_total", ("chat.completions", "smart", "200", "a/x")] == 1
    labels = ("chat.completions", "smart", "true")
    assert found["switchgear_request_duration_seconds_count", labels] == 1
    assert found["switchgear_request_duration_seconds_sum", labels] == 3.0
    buckets = {
        labels[1]: value
        for (name, labels), value in found.items()
        if name == "switchgear_first_token_seconds_bucket" and labels[0] == "chat.completions"
    }
    assert [bound for bound, value in buckets.items() if value == 0] == ["0.005", "0.01", "0.025", "0.05", "0.1"]
    assert buckets["0.25"] == buckets["600.0"] == buckets["+Inf"] == 1
    tokens = series(metrics, "switchgear_tokens_total")
    assert tokens == {
        ("input", "smart", "a/x"): 10,
        ("output", "smart", "a/x"): 20,
        ("cached", "smart", "a/x"): 4,
        ("reasoning", "smart", "a/x"): 7,
    }
    assert series(metrics, "switchgear_upstream_attempts_total") == {("answered", "a/x"): 1}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("no"), "400"),
        (UpstreamTimeout("total", 1.0), "504"),
        (UpstreamRejected(401, [], b""), "502"),
        (UpstreamRejected(429, [], b""), "429"),
        (UpstreamRejected(799, [], b""), "other"),
        (ClientDisconnected(), "499"),
        (asyncio.CancelledError(), "499"),
        (RuntimeError(), "500"),
    ],
)
def test_status_of_a_request_without_answer(metrics: Metrics, error: BaseException, status: str) -> None:
    metrics.settle(context(error=error), 100.1)
    assert series(metrics, "switchgear_requests_total") == {("chat.completions", "smart", status, ""): 1}


@pytest.mark.parametrize(("status", "label"), [(200, "200"), (529, "529"), (555, "5xx"), (299, "2xx"), (0, "other")])
def test_status_labels_are_a_bounded_set(status: int, label: str) -> None:
    assert status_label(status) == label


def test_phases_of_a_disconnect(metrics: Metrics) -> None:
    metrics.settle(context(error=ClientDisconnected()), 101.0)
    metrics.settle(context(error=asyncio.CancelledError(), attempts=1), 101.0)
    metrics.settle(context(error=ClientDisconnected(), attempts=1, status=200), 101.0)
    found = series(metrics, "switchgear_client_disconnects_total")
    assert found == {("admission",): 1, ("waiting",): 1, ("streaming",): 1}


def test_upstream_counters_and_gauges(metrics: Metrics) -> None:
    metrics.upstream_failed("a/x", "timeout")
    metrics.retried("a/x")
    metrics.connections("a", busy=3, idle=2, waiting=0)
    metrics.breaker("a/x", True)
    metrics.credential("a", "main", "throttled")
    metrics.config_reloaded("ok", 1234.5)
    metrics.config_reloaded("error")
    metrics.stream_opened()
    metrics.stream_opened()
    metrics.stream_closed()
    metrics.sweep(10.0, interval_s=0.05, in_flight=7)
    metrics.sweep(10.07, interval_s=0.05, in_flight=5)
    metrics.log_lines_dropped(3)
    found = scrape(metrics)
    expected = {
        ("switchgear_upstream_attempts_total", ("timeout", "a/x")): 1,
        ("switchgear_upstream_errors_total", ("timeout", "a/x")): 1,
        ("switchgear_retries_total", ("a/x",)): 1,
        ("switchgear_upstream_connections", ("a", "busy")): 3,
        ("switchgear_upstream_connections", ("a", "idle")): 2,
        ("switchgear_breaker_open", ("a/x",)): 1,
        ("switchgear_credential_state", ("main", "a", "throttled")): 1,
        ("switchgear_credential_state", ("main", "a", "available")): 0,
        ("switchgear_config_reloads_total", ("ok",)): 1,
        ("switchgear_config_reloads_total", ("error",)): 1,
        ("switchgear_config_last_reload_timestamp_seconds", ()): 1234.5,
        ("switchgear_streams_open", ()): 1,
        ("switchgear_in_flight", ()): 5,
        ("switchgear_event_loop_lag_seconds_bucket", ("0.01",)): 0,
        ("switchgear_event_loop_lag_seconds_bucket", ("0.025",)): 1,
        ("switchgear_log_lines_dropped_total", ()): 3,
        ("switchgear_worker_up", ()): 1,
    }
    assert {key: found[key] for key in expected} == expected
    assert found["switchgear_process_resident_memory_bytes", ()] > 1e6
    assert found["switchgear_process_cpu_seconds_total", ()] > 0


def test_errors_of_estimates_by_family(metrics: Metrics) -> None:
    name = "switchgear_prompt_estimate_error_ratio"
    metrics.estimates({"gpt-4.1": 0.25, "claude": 0.5})
    assert series(metrics, name) == {("gpt-4.1",): 0.25, ("claude",): 0.5}
    metrics.estimates({"gpt-4.1": 0.125})
    assert series(metrics, name) == {("gpt-4.1",): 0.125, ("claude",): 0.0}
    metrics.estimates({f"family{number}": 1.0 for number in range(2 * MAX_DYNAMIC_NAMES)})
    found = series(metrics, name)
    assert len(found) == MAX_DYNAMIC_NAMES
    assert found["family0",] == 1.0


def test_junk_model_names_add_no_series(metrics: Metrics) -> None:
    metrics.settle(context(model="junk", error=InvalidRequest("unknown")), 101.0)
    before = scrape(metrics).keys()
    for junk in range(500):
        ctx = context(model=f"junk-{junk}", target=Target("a", f"junk-{junk}"), error=InvalidRequest("unknown"))
        metrics.settle(ctx, 101.0)
        metrics.upstream_failed(f"a/junk-{junk}", "failed")
    after = scrape(metrics).keys()
    assert {labels for name, labels in after - before if name == "switchgear_requests_total"} == {
        ("chat.completions", "_other", "400", "a/_other")
    }
    assert series(metrics, "switchgear_upstream_errors_total") == {("failed", "a/_other"): 500}


def test_names_that_an_upstream_answered_for_are_shown_up_to_a_bound(metrics: Metrics) -> None:
    for number in range(MAX_DYNAMIC_NAMES + 50):
        metrics.settle(context(model=f"a/m{number}", target=Target("a", f"m{number}"), status=200), 101.0)
    found = series(metrics, "switchgear_requests_total")
    assert len(found) == MAX_DYNAMIC_NAMES + 1
    assert found["chat.completions", "_other", "200", "a/_other"] == 50


def test_label_sets_of_a_metric_are_bounded(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, "0", max_sets=10)
    for number in range(200):
        metrics.slab.add(metrics.slot("switchgear_retries_total", f"a/{number}"))
    found = series(metrics, "switchgear_retries_total")
    assert len(found) == 11
    assert found["_other",] == 190
    for definition in METRICS:  # every slot there can be fits into the slab
        for number in range(20):
            first = metrics.slot(definition.name, *[str(number)] * len(definition.labels))
            metrics.slab.read(first, definition.width)


def test_label_values_that_are_no_text(metrics: Metrics) -> None:
    for value in ('quo"te', "new\nline", "lone \ud800 surrogate", "x" * 10_000, "ключ"):
        metrics.slab.add(metrics.slot("switchgear_upstream_connections", value, "busy"))
    values = {labels[0] for labels in series(metrics, "switchgear_upstream_connections")}
    assert values == {'quo"te', "new\nline", "lone ? surrogate", "x" * 256, "ключ"}


def test_wrong_use_is_an_error(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="has the labels target"):
        metrics.slot("switchgear_retries_total")
    with pytest.raises(KeyError):
        metrics.slot("switchgear_unheard_of")


def test_openmetrics_when_asked(metrics: Metrics) -> None:
    metrics.settle(context(target=Target("a", "x"), status=200, attempts=1), 101.0)
    kind, text = metrics.render("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name for family in parse_openmetrics(text.decode())}
    assert {definition.name.removesuffix("_total") for definition in METRICS} == families
    kind, text = metrics.render("text/html, */*")
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert {family.name for family in parse_text(text.decode())} == families


def count_in_process(run_dir: Path, worker_id: str, times: int, ready: Any, stop: Any) -> None:
    metrics = Metrics(run_dir, worker_id)
    metrics.declare(["smart"], ["a/x"])
    metrics.sweep(1.0, interval_s=0.05, in_flight=3)
    for _ in range(times):
        metrics.settle(context(target=Target("a", "x"), status=200, attempts=1), 100.5)
    ready.set()
    stop.wait(30)
    metrics.close()


REQUESTS = ("chat.completions", "smart", "200", "a/x")
DURATION_SUM = ("switchgear_request_duration_seconds_sum", ("chat.completions", "smart", "false"))


def test_one_scrape_sums_processes_and_keeps_the_killed(metrics: Metrics, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    metrics.settle(context(target=Target("a", "x"), status=200, attempts=1), 100.5)
    workers = []
    for number in (1, 2):
        ready, stop = SPAWN.Event(), SPAWN.Event()  # each its own: setting one waits for the killed who slept on it
        worker = SPAWN.Process(target=count_in_process, args=(run_dir, str(number), 1000 * number, ready, stop))
        worker.start()
        workers.append((worker, ready, stop))
    try:
        for _, ready, _ in workers:
            assert ready.wait(30)
        found = scrape(metrics)
        assert found["switchgear_requests_total", REQUESTS] == 3001
        assert found[DURATION_SUM] == 1500.5
        assert (found["switchgear_worker_up", ()], found["switchgear_in_flight", ()]) == (3, 6)

        os.kill(workers[0][0].pid or 0, signal.SIGKILL)
        workers[0][0].join(30)
        for _ in range(3):  # folded once, whoever scrapes and however often
            found = scrape(metrics)
            assert found["switchgear_requests_total", REQUESTS] == 3001
            assert found[DURATION_SUM] == 1500.5
            assert (found["switchgear_worker_up", ()], found["switchgear_in_flight", ()]) == (2, 3)
        assert len(list(run_dir.glob("worker-*"))) == 4
    finally:
        for worker, _, stop in workers:
            if worker.is_alive():
                stop.set()
            worker.join(30)
    late = Metrics(run_dir, "1")
    found = scrape(late)
    assert found["switchgear_requests_total", REQUESTS] == 3001
    assert found["switchgear_worker_up", ()] == 2  # this one and the fixture's
    assert len(list(run_dir.glob("worker-*"))) == 4


def test_counts_survive_many_generations_of_workers(tmp_path: Path) -> None:
    for generation in range(5):
        worker = Metrics(tmp_path, "0")
        worker.slab.add(worker.slot("switchgear_retries_total", f"a/{generation}"))
        worker.slab.add(worker.slot("switchgear_retries_total", "a/x"), 2.0)
        worker.close()
        worker.close()
    reader = Metrics(tmp_path, "reader")
    expected = {(f"a/{generation}",): 1.0 for generation in range(5)} | {("a/x",): 10.0}
    assert series(reader, "switchgear_retries_total") == expected
    assert sorted(path.suffix for path in tmp_path.glob("*-*")) == [".layout", ".slab"]


def test_sets_kept_for_the_dead_are_bounded(tmp_path: Path) -> None:
    for generation in range(4):
        worker = Metrics(tmp_path, "0", max_sets=5)
        for number in range(5):
            worker.slab.add(worker.slot("switchgear_retries_total", f"a/{generation}-{number}"))
        worker.close()
    found = series(Metrics(tmp_path, "reader", max_sets=5), "switchgear_retries_total")
    assert sum(found.values()) == 20
    assert len(found) == 6
    assert found["_other",] == 15


def test_a_fold_killed_half_way_counts_nothing_twice(tmp_path: Path) -> None:
    worker = Metrics(tmp_path, "0")
    worker.slab.add(worker.slot("switchgear_retries_total", "a/x"), 3.0)
    worker.close()
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("worker-*")}
    reader = Metrics(tmp_path, "reader")
    assert series(reader, "switchgear_retries_total") == {("a/x",): 3.0}
    for name, data in kept.items():  # as if the process had died before it deleted them
        (tmp_path / name).write_bytes(data)
    for _ in range(2):
        assert series(reader, "switchgear_retries_total") == {("a/x",): 3.0}
        assert not kept.keys() & {path.name for path in tmp_path.iterdir()}


def test_damaged_and_foreign_files_do_not_fail_a_scrape(metrics: Metrics, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    (run_dir / "dead.json").write_bytes(b"{")
    (run_dir / "worker-9-torn.layout").write_bytes(b'{"fingerprint": "')
    (run_dir / "worker-9-other.layout").write_bytes(b'{"fingerprint": "other", "slots": 1}\n')
    (run_dir / "worker-9-noslab.layout").write_bytes(
        b'{"fingerprint": "%s", "slots": 8}\n' % shared.FINGERPRINT.encode()
    )
    old = run_dir / "worker-9-old.draft"
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    metrics.retried("a/x")
    assert series(metrics, "switchgear_retries_total") == {("a/x",): 1.0}
    for gone in ("worker-9-*.layout", "*.draft"):
        assert list(run_dir.glob(gone)) == []


def test_scrape_goes_on_when_somebody_stands_still_with_the_lock(
    metrics: Metrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "LOCK_WAIT_S", 0.0)
    dead = Metrics(tmp_path / "run", "1")
    dead.slab.add(dead.slot("switchgear_retries_total", "a/x"))
    dead.close()
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(  # our own interpreter and code
        [sys.executable, "-c", code, str(tmp_path / "run" / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert series(metrics, "switchgear_retries_total") == {("a/x",): 1.0}
        assert not (tmp_path / "run" / "dead.json").exists()
        holder.communicate()
    assert series(metrics, "switchgear_retries_total") == {("a/x",): 1.0}
    assert (tmp_path / "run" / "dead.json").exists()


def test_counting_while_a_thread_renders(metrics: Metrics) -> None:
    stop, failures = threading.Event(), []

    def render() -> None:
        while not stop.is_set():
            try:
                metrics.render()
            except Exception as exc:
                failures.append(exc)

    thread = threading.Thread(target=render)
    thread.start()
    for number in range(3000):
        metrics.slab.add(metrics.slot("switchgear_upstream_connections", f"p{number % 1500}", "busy"))
    stop.set()
    thread.join(30)
    assert failures == []
    assert sum(series(metrics, "switchgear_upstream_connections").values()) == 3000


def test_counting_after_close_is_lost_and_harmless(metrics: Metrics) -> None:
    metrics.close()
    metrics.settle(context(target=Target("a", "x"), status=200), 101.0)
    metrics.sweep(1.0, interval_s=0.05, in_flight=0)
    metrics.render()
