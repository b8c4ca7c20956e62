"""What was seen of a gateway under fire, held against what must hold.

Wrong is: an answer that was delivered and has no row, or two; a budget that was overshot, or refused what it had room
for; a request that failed because of Redis, PostgreSQL or the quota where it must not; counters that differ from the
ledger after all is at rest; rows that were dropped and not counted; memory that grows; and, where times are judged, a
503 later than declared or a p99 in a stall above 1.5 times that of calm.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

from switchgear.limits.limits import WAIT_S
from tests.support.chaos_load import KEYS, Sent
from tests.support.metered import Row

DECLARED_S = WAIT_S
SLACK_S = 0.15
"""What a request takes besides waiting for the shared state, on a busy machine, a worker's start beside it."""
RATIO = 1.5
KILL_S = 0.5
"""How long the socket of a worker that was killed may still be met."""
RECOVER_S = 8.0
"""Within which a quota that was full is free again: the database is tried every 5 s at the latest, and then drained."""
LATE_ROW_S = 3.0
"""A row may be that much behind its answer in the journals: of a worker that was killed, until it is adopted."""
SEGMENT_ROWS = 400
"""At most in a segment, which is an eighth of the quota."""
RELOAD_S = 5.0
"""Within which the workers have read the configuration again."""
REBUILD_S = 0.25
"""Between the question what was spent and the counter that has it."""
GROWTH_MIB = 48.0
"""More than that is no noise of an allocator."""
STORES = ("Redis stalls", "Redis killed", "PostgreSQL away", "Redis and PostgreSQL away")


class Phase(NamedTuple):
    """Seconds since the load began."""

    name: str
    began_s: float
    ended_s: float

    def has(self, at_s: float) -> bool:
        return self.began_s <= at_s < self.ended_s


class Memory(NamedTuple):
    """Resident MiB at a moment."""

    at_s: float
    supervisor: float
    workers: list[float]


@dataclass
class Seen:
    """Everything that a run left. began: the wall clock at its beginning, Unix seconds. rate: requests a second."""

    sent: list[Sent] = field(default_factory=list)
    skipped: int = 0
    late_s: list[float] = field(default_factory=list)
    began: float = 0.0
    rate: float = 0.0
    phases: list[Phase] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    waiting: list[tuple[float, int]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    limits: list[Row] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    exit_status: int | None = None
    complaints: str = ""

    def named(self, *names: str) -> list[Phase]:
        return [phase for phase in self.phases if phase.name in names]


@dataclass
class Verdict:
    """What was seen, and what was wrong with it: nothing, if all is well."""

    seen: Seen
    figures: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def text(self) -> str:
        """For a terminal."""
        lines = [f"{p.began_s:7.1f} to {p.ended_s:6.1f} s  {p.name}" for p in self.seen.phases]
        lines += [f"{name:<38} {value}" for name, value in self.figures.items()]
        lines += [f"WRONG  {what}" for what in self.wrong]
        if self.wrong:
            lines.append(self.seen.complaints)
        return "\n".join([*lines, f"verdict: {'FAILED' if self.wrong else 'ok'}"])


def judge(seen: Seen, *, budget_usd: float, reserved: int, least: int, timed: bool) -> Verdict:
    """The verdict. reserved: what a request reserves of the budget, nano-dollars. least: how many answers have to be
    delivered. timed: judge times and memory."""
    verdict = Verdict(seen)
    budget = round(budget_usd * 1e9)
    _answers(verdict, least)
    _statuses(verdict)
    dropped = _rows(verdict)
    _money(verdict, budget, reserved, dropped)
    _refusals(verdict, budget, reserved, dropped)
    _times(verdict, timed)
    _memory(verdict, timed)
    return verdict


def _answers(verdict: Verdict, least: int) -> None:
    """Every request ends, and only a kill cuts one off."""
    seen, figures = verdict.seen, verdict.figures
    cut = [one for one in seen.sent if not one.whole]
    figures["requests"] = f"{len(seen.sent)}, {seen.skipped} not sent for want of room"
    figures["workers killed"] = len(seen.kills)
    figures["delivered whole"] = sum(1 for one in seen.sent if one.whole and one.status == 200)
    figures["cut off by a kill"] = len(cut)
    for one in [one for one in cut if not _killed(one, seen.kills)][:1]:
        verdict.wrong.append(f"requests had no answer and no kill near them, the first at {one.at_s:.1f} s: {one}")
    if figures["delivered whole"] < least:
        verdict.wrong.append(f"only {figures['delivered whole']} answers were delivered")
    if seen.exit_status is not None:
        verdict.wrong.append(f"the gateway ended by itself, with status {seen.exit_status}")


def _killed(one: Sent, kills: list[float]) -> bool:
    """Whether a worker was killed while a request was under way, or just before."""
    return any(one.at_s - KILL_S <= at_s <= one.ended_s + KILL_S for at_s in kills)


def _statuses(verdict: Verdict) -> None:
    """What fails open is served; what fails closed is served or refused as declared; a quota refuses while it is
    full."""
    seen = verdict.seen
    full = [Phase(p.name, p.began_s, p.ended_s + RECOVER_S) for p in seen.named("quota, refuse")]
    refused_by_quota = [one for one in seen.sent if one.code == "ledger_full"]
    early = [one for one in refused_by_quota if not any(phase.has(one.ended_s) for phase in full)]
    for key in KEYS:
        counted = Counter(f"{one.status} {one.code}".strip() for one in seen.sent if one.key == key and one.status)
        verdict.figures[f"statuses of {key}"] = dict(counted)
        allowed = {"200", "503 ledger_full"} | (
            # 429: what is left of the budget is reserved by others
            {"402 insufficient_quota", "429 rate_limit_exceeded", "503 state_unavailable"} if key == "closed" else set()
        )
        if set(counted) - allowed:
            first = next(
                one
                for one in seen.sent
                if one.key == key and one.status and f"{one.status} {one.code}".strip() not in allowed
            )
            verdict.wrong.append(f"requests of {key} ended with {sorted(set(counted) - allowed)}, the first: {first}")
    if early:
        verdict.wrong.append(f"{len(early)} requests met a full ledger that was not, the first: {early[0]}")
    if full and not refused_by_quota:
        verdict.wrong.append("the quota refused nothing")


def _rows(verdict: Verdict) -> list[Sent]:
    """Each answer has one row; those that were dropped by `drop_oldest` are counted. Answers whose rows were."""
    seen, figures, wrong = verdict.seen, verdict.figures, verdict.wrong
    keyed = Counter((row["request_id"], row["attempt"]) for row in seen.rows)
    known = {row["request_id"] for row in seen.rows}
    figures["rows"] = len(seen.rows)
    figures["rows of killed requests"] = sum(row["error_class"] == "killed" for row in seen.rows)
    twice = [each for each, count in keyed.items() if count > 1]
    if twice:
        wrong.append(f"{len(twice)} upstream requests have two rows: {twice[:3]}")
    dropping = [Phase(p.name, p.began_s - LATE_ROW_S, p.ended_s + RELOAD_S) for p in seen.named("quota, drop_oldest")]
    lacking = [one for one in seen.sent if one.whole and one.status == 200 and one.request_id not in known]
    missing = [one for one in lacking if any(phase.has(one.ended_s) for phase in dropping)]
    if len(missing) < len(lacking):
        lost = [one for one in lacking if one not in missing]
        wrong.append(f"{len(lost)} delivered answers have no row: {lost[:3]}")
    dropped = int(sum(n for name, n in seen.metrics.items() if name.startswith("switchgear_ledger_dropped_rows_total")))
    figures["rows dropped by drop_oldest"] = f"{dropped} counted, {len(missing)} answers without row"
    if dropping and not dropped:
        wrong.append("the quota dropped nothing")
    # Of a segment that a dead worker had drained in part all rows count as dropped: the database is not there to ask.
    unsure = sum(1 for one in seen.sent if not one.whole and any(phase.has(one.ended_s) for phase in dropping))
    if not len(missing) <= dropped <= len(missing) + unsure + SEGMENT_ROWS:
        wrong.append(f"{dropped} dropped rows were counted, {len(missing)} are missing")
    return missing


def _money(verdict: Verdict, budget: int, reserved: int, dropped: list[Sent]) -> None:
    """No budget is overshot, and at rest the counters are what the ledger says, and what was dropped from it.

    A request that was cut off after it had reserved and before its upstream was asked is counted, and has no row. While
    a counter is rebuilt, requests of a limit that fails open pass: what ends between the question to the ledger and its
    answer's arrival in Redis may be missing there (docs/limits.md).
    """
    seen, figures, wrong = verdict.seen, verdict.figures, verdict.wrong
    usual = _usual(seen)
    rows = [row for row in seen.rows if row["key"] == "closed"]
    spent = sum(row["cost_nanousd"] for row in rows) + usual * sum(one.key == "closed" for one in dropped)
    figures["spent of the budget"] = f"${spent / 1e9:.6f} of ${budget / 1e9:.6f}"
    if spent > budget:
        wrong.append(f"the budget of ${budget / 1e9} was overshot: ${spent / 1e9}")
    asked = sum(row["key"] == "open" for row in seen.rows) + sum(one.key == "open" for one in dropped)
    for limit in seen.limits:
        name, key = ("cost", "closed") if limit["resource"] == "cost" else ("requests", "open")
        mine, each, missed = (spent, reserved, 0) if key == "closed" else (asked, 1, round(seen.rate * REBUILD_S))
        cut = each * sum(1 for one in seen.sent if one.key == key and not one.whole)
        figures[f"counted of {name}"] = (
            f"{limit['used']}, by the ledger {mine}; reserved {limit['reserved']}, leased {limit['leased']}"
        )
        if limit["reserved"]:
            wrong.append(f"{limit['reserved']} of {name} stayed reserved after all was at rest")
        if not mine - missed <= limit["used"] <= mine + cut:
            wrong.append(f"{name}: {limit['used']} are counted, by the ledger {mine}, and up to {cut} were cut off")


def _usual(seen: Seen) -> int:
    """What an answer costs, nano-dollars: all ask for the same."""
    usual = Counter(row["cost_nanousd"] for row in seen.rows if row["status"] == 200).most_common(1)
    return int(usual[0][0]) if usual else 0


def _refusals(verdict: Verdict, budget: int, reserved: int, dropped: list[Sent]) -> None:
    """A budget refuses when what is spent and what is reserved leave no room for one more request, and not before.

    What others of the time reserved is not known afterwards: each request of the key that was under way, or that a kill
    cut off before it had a row, counts with what it reserved.
    """
    seen = verdict.seen
    refused = [one for one in seen.sent if one.status == 402]
    rows = [row for row in seen.rows if row["key"] == "closed"]
    if not refused or not rows:
        return
    gone = [(one.ended_s, _usual(seen)) for one in dropped if one.key == "closed"]
    ended = sorted([*((_ended_s(row, seen.began), row["cost_nanousd"]) for row in rows), *gone])
    moments, sums = [at for at, _ in ended], list(accumulate(cost for _, cost in ended))
    served = [one for one in seen.sent if one.key == "closed" and one.status != 402]
    whole = {one.request_id for one in served if one.whole}
    # What a killed worker's requests had reserved counts as spent, also of those whose upstream was not asked yet.
    cut = sorted(one.ended_s for one in served if not one.whole)
    with_row = sorted(_ended_s(row, seen.began) for row in rows if row["request_id"] not in whole)
    begun, done = sorted(one.at_s for one in served), sorted(one.ended_s for one in served)
    early = []
    for one in refused:
        count = bisect_right(moments, one.ended_s)
        under_way = bisect_right(begun, one.ended_s) - bisect_right(done, one.at_s)
        unsent = max(0, bisect_right(cut, one.ended_s) - bisect_right(with_row, one.ended_s))
        room = budget - (sums[count - 1] if count else 0) - (under_way + unsent) * reserved
        if room >= reserved:
            early.append((one.at_s, room, one))
    verdict.figures["refused for the budget"] = f"{len(refused)}, of them with room left {len(early)}"
    if early:
        at_s, room, one = early[0]
        verdict.wrong.append(
            f"{len(early)} requests were refused while the budget had room, the first at {at_s:.1f} s with {room} left "
            f"(a request reserves {reserved}): {one}"
        )


def _ended_s(row: Row, began: float) -> float:
    """When a row's request ended, since the load began; of one that was killed, when it began."""
    at = datetime.fromisoformat(row["time"]).timestamp() - began
    return at + (row["total_ms"] or 0.0) / 1000


def _times(verdict: Verdict, timed: bool) -> None:
    """p99 in each kind of disturbance against that of calm, of the key that fails open; and the slowest 503."""
    seen, figures, wrong = verdict.seen, verdict.figures, verdict.wrong
    served = [one for one in seen.sent if one.key == "open" and one.status == 200 and one.whole]
    # The first workers compile their caches and learn their lanes in the first phase.
    calm = _p99_s(_took(served, seen.named("calm")[1:]))
    figures["the generator was late by"] = f"{_ms(_p99_s(seen.late_s))} at p99"
    figures["p99 in calm, workers killed"] = _ms(calm)
    for name in STORES:
        p99 = _p99_s(_took(served, seen.named(name)))
        ratio = p99 / calm if calm and p99 else 0.0
        figures[f"p99, {name}"] = f"{_ms(p99)}, {ratio:.2f} x calm"
        if timed and ratio > RATIO:
            wrong.append(f"p99 while {name} was {ratio:.2f} times that of calm")
    late = sorted(one.took_s for one in seen.sent if one.code == "state_unavailable")
    if late:
        figures["503 state_unavailable"] = (
            f"{len(late)}, half within {_ms(late[len(late) // 2])}, slowest {_ms(late[-1])}"
        )
        if timed and late[-1] > DECLARED_S + SLACK_S:
            wrong.append(f"a 503 took {late[-1]:.2f} s, declared are {DECLARED_S} s")


def _took(served: Iterable[Sent], phases: Sequence[Phase]) -> list[float]:
    return [one.took_s for one in served if any(phase.has(one.at_s) for phase in phases)]


def _p99_s(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)] if seconds else 0.0


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _memory(verdict: Verdict, timed: bool) -> None:
    """Resident memory of workers, which are young (they are killed), and of the supervisor, which is not."""
    seen, figures = verdict.seen, verdict.figures
    looks = [look for look in seen.memory if look.workers]
    if not looks:
        return
    first, last = looks[min(2, len(looks) - 1)], looks[-1]
    most = max(max(look.workers) for look in looks)
    figures["RSS of workers"] = (
        f"{_mib(first.workers)} at the start, {_mib(last.workers)} at the end, at most {most:.0f} MiB"
    )
    figures["RSS of the supervisor"] = f"{first.supervisor:.0f} MiB at the start, {last.supervisor:.0f} MiB at the end"
    figures["most rows waiting"] = f"{max(size for _, size in seen.waiting) / 1e6:.1f} MB in journals"
    if timed and most > max(first.workers) + GROWTH_MIB:
        verdict.wrong.append(f"a worker grew to {most:.0f} MiB, from {max(first.workers):.0f}")
    if timed and last.supervisor > first.supervisor + GROWTH_MIB:
        verdict.wrong.append(f"the supervisor grew from {first.supervisor:.0f} to {last.supervisor:.0f} MiB")


def _mib(workers: list[float]) -> str:
    return f"{min(workers):.0f} to {max(workers):.0f} MiB"
