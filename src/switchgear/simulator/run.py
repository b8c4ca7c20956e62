"""The simulator as a process: serve until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import uvloop

from switchgear.simulator.settings import SimulatorSettings
from switchgear.simulator.simulator import Simulator


async def serve(settings: SimulatorSettings, announce: Callable[[str], None]) -> None:
    """Serve until a signal; call `announce` once, with the line that tells where, when connections are accepted."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Simulator(settings) as simulator:
        announce(f"Simulator on {simulator.url}")
        await stop.wait()


def run(settings: SimulatorSettings, announce: Callable[[str], None]) -> None:
    """`serve` on uvloop."""
    uvloop.run(serve(settings, announce))
