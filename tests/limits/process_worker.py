"""One real process of limits on a real Redis, driven by lines on its standard input; answers a line of JSON to each.

take N COST      N requests at once: how many were admitted, and what refused the others
hold N           the same, and keep the reservations
settle           settle what is held
available        what this process holds and has not spent
quit             give everything back
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

from switchgear.config.load import load
from switchgear.errors import GatewayError
from switchgear.hotpath._leases import Reservation
from switchgear.limits.limits import Limits
from switchgear.state.redis import RedisStore
from switchgear.types import Principal


async def main(config: str, url: str, directory: str) -> None:
    loop = asyncio.get_running_loop()
    limits = Limits(loop, load(config), RedisStore(url), directory=Path(directory))
    await limits.start()
    plan = limits.plan(Principal("ci", "key"), "smart")
    kept: list[Reservation] = []
    slowest = 0.0

    async def take(cost: int, keep: bool) -> str:
        nonlocal slowest
        began = loop.time()
        held = plan.take(began, 1, 10, 10, cost)
        try:
            if held is None:
                held = await limits.take_slowly(plan, 1, 10, 10, cost)
        except GatewayError as error:
            return type(error).__name__
        finally:
            slowest = max(slowest, loop.time() - began)
        if keep:
            kept.append(held)
        else:
            await asyncio.sleep(0.001)
            held.settle(10, 10, cost // 2)
        return "admitted"

    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    say({"ready": True})
    while line := (await reader.readline()).split():
        word = line[0].decode()
        if word in ("take", "hold"):
            slowest = 0.0
            cost = int(line[2]) if len(line) > 2 else 0
            done = Counter(await asyncio.gather(*(take(cost, word == "hold") for _ in range(int(line[1])))))
            say({**done, "slowest_s": slowest, "exchanges": limits.leases.talk.exchanges})
        elif word == "settle":
            for held in kept:
                held.settle(10, 10, 0)
            say({"settled": len(kept)})
        elif word == "available":
            say({"available": [bucket.available for bucket in plan.buckets]})
        else:
            await limits.stop()
            say({"quit": True})
            return


def say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
