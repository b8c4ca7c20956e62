"""`switchgear version`: what is installed, as a bug report needs it."""

from __future__ import annotations

import platform
from importlib.util import find_spec

import click

from switchgear import __version__
from switchgear.hotpath import MODULES
from switchgear.hotpath import __name__ as package


def summary() -> str:
    """Version, Python, platform, and the compiled modules that are there and that are missing."""
    built = [name for name in MODULES if find_spec(f"{package}.{name}") is not None]
    missing = [name for name in MODULES if name not in built]
    lines = [
        f"switchgear {__version__}",
        f"python     {platform.python_version()} ({platform.python_implementation()})",
        f"platform   {platform.system()} {platform.machine()}",
        f"compiled   {', '.join(built) or 'none'}",
    ]
    if missing:
        lines.append(f"missing    {', '.join(missing)}: run `make build`, or install the wheel for this platform")
    return "\n".join(lines)


@click.command()
def command() -> None:
    """Show versions and the compiled modules."""
    click.echo(summary())
