"""What becomes of the tests of SDKs where no package can be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sdk import environments
from tests.sdk.environments import Uninstallable, environment


def test_without_a_registry_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "CACHE", tmp_path / "environments")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(Uninstallable, match="'older' could not be installed") as caught:
        environment("older")
    assert "These tests need a package registry" in str(caught.value)
    with pytest.raises(Uninstallable):  # what was begun is not taken for an environment
        environment("older")
