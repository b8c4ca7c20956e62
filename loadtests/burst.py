"""Bursts: a tenth of the users for a while, then all of them at once for a while, again and again."""

from __future__ import annotations

from locust import LoadTestShape, between, task

from common import GatewayUser

QUIET_S = 4
BURST_S = 4


class BurstUser(GatewayUser):
    wait_time = between(0.01, 0.1)

    @task(8)
    def ask(self) -> None:
        self.chat()

    @task(1)
    def read_along(self) -> None:
        self.stream()


class Bursts(LoadTestShape):
    """--users is the height of a burst, --run-time the length of the whole test."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """(users, users started or stopped per second), or None at the end."""
        assert self.runner is not None  # noqa: S101  # Locust sets it before the first tick
        options = self.runner.environment.parsed_options
        assert options is not None  # noqa: S101  # run headless, from the command line
        now = self.get_run_time()
        if options.run_time and now >= options.run_time:
            return None
        high = int(options.num_users or 50)
        bursting = now % (QUIET_S + BURST_S) >= QUIET_S
        return (high, float(high)) if bursting else (max(1, high // 10), float(high))
