"""What a lost counter is rebuilt from, where a worker died and nobody has adopted its journal yet."""

from __future__ import annotations

from pathlib import Path

from switchgear.config.load import loads
from switchgear.limits.declared import Declared
from switchgear.metering.build import seed_of
from tests.accounting.ledgers import left_behind


async def test_requests_that_were_open_in_a_dead_worker_count(tmp_path: Path) -> None:
    root = tmp_path / "ledger"
    root.mkdir()
    config = loads(
        "providers: {openai: {credentials: [sk-x]}}\n"
        "keys: [{name: ci, value: sk-0123456789abcdef}]\n"
        "limits: [{resource: requests, capacity: 1000, window: total}, {resource: cost, capacity: 5, window: total}]\n"
        f"ledger: {{path: '{root}'}}\n"
        f"database: {{url: 'sqlite:///{tmp_path}/ledger.db'}}\n"
    )
    left_behind(root, 0, 30, opened=3)  # 7 nano-dollars each, 3 reserved for each that was open
    requests, cost = Declared(config).all()
    for _ in range(2):  # to ask is not to adopt: the next one finds the same
        assert await seed_of(config, recover=True)(requests, 0) == 33
        assert await seed_of(config, recover=True)(cost, 0) == 30 * 7 + 3 * 3
    assert len(list(root.iterdir())) == 1
