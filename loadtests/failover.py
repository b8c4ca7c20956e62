"""Failover: the first target of the model fails in one way after the other; no client may notice.

The faults are put on the simulator while the test runs, through its control API at SWITCHGEAR_SIMULATOR. They apply
to the credential of the first target alone (SWITCHGEAR_FAILING_CREDENTIAL): the second one stays well.
"""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from typing import Any

import gevent
from locust import between, events, task
from locust.env import Environment

from common import GatewayUser

SIMULATOR = os.environ.get("SWITCHGEAR_SIMULATOR", "")
CREDENTIAL = os.environ.get("SWITCHGEAR_FAILING_CREDENTIAL", "")
PHASE_S = 3.0
PHASES: tuple[tuple[str, dict[str, Any] | None], ...] = (
    ("all well", None),
    ("500 from every request", {"fault": {"status": 500}}),
    ("all well", None),
    ("429 with Retry-After", {"fault": {"status": 429, "retry-after": "1"}}),
    ("resets before the answer, every other one", {"fault": {"reset-before-headers": True}, "probability": 0.5}),
    ("resets after the headers", {"fault": {"reset-after-headers": True}}),
    ("503 from a third", {"fault": {"status": 503}, "probability": 0.33}),
    ("no answer at all, one in twenty", {"fault": {"stall-before-headers": True}, "probability": 0.05}),
)


def put_faults(rules: list[dict[str, Any]]) -> None:
    """Replace the simulator's rules."""
    request = urllib.request.Request(  # noqa: S310  # the operator names the address
        f"{SIMULATOR}/_sim/faults",
        data=json.dumps(rules).encode(),
        method="PUT",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own simulator
        answer.read()


def run_phases() -> None:
    """The phases in turn until the test stops."""
    while True:
        for about, rule in PHASES:
            logging.info("failover: %s", about)
            put_faults([{**rule, "match": {"credential": CREDENTIAL}}] if rule else [])
            gevent.sleep(PHASE_S)


@events.test_start.add_listener
def start_phases(environment: Environment, **_: Any) -> None:
    """Locust calls it once, before the first user."""
    if not SIMULATOR or not CREDENTIAL:
        raise SystemExit("SWITCHGEAR_SIMULATOR and SWITCHGEAR_FAILING_CREDENTIAL are to be set: use run.py")
    phases = gevent.spawn(run_phases)
    environment.events.test_stop.add_listener(lambda **_: (phases.kill(), put_faults([])))


class FailoverUser(GatewayUser):
    wait_time = between(0.02, 0.2)

    @task(5)
    def ask(self) -> None:
        self.chat()

    @task(1)
    def read_along(self) -> None:
        self.stream()
