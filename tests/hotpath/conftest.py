"""Where the recorded provider traffic lies, if it is there."""

import os
from pathlib import Path

import pytest

RECORDINGS = Path(os.environ.get("SWITCHGEAR_RECORDINGS", Path(__file__).parents[2].parent / "shared" / "recordings"))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recordings. It may be absent: conformance tests then run over nothing, and the summary says so."""
    return RECORDINGS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not RECORDINGS.is_dir():
        terminalreporter.write_line(
            f"recordings not found at {RECORDINGS} (SWITCHGEAR_RECORDINGS): conformance tests against them did not run"
        )
