"""Streams: every user reads one completion after the other; one in ten leaves in the middle."""

from __future__ import annotations

import random

from locust import between, task

from common import GatewayUser


class StreamUser(GatewayUser):
    wait_time = between(0, 0.2)

    @task(9)
    def read_to_the_end(self) -> None:
        self.stream()

    @task(1)
    def leave(self) -> None:
        self.stream(name="stream, left early", leave_after=random.randint(1, 20))
