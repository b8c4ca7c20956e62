"""The command line: one command a file, each loaded when it is called.

`cli/NAME.py` has an attribute `command`, a click command. Printing the help loads none of them.
"""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "serve": "Serve the gateway.",
    "check": "Check a configuration file.",
    "prices": "Fetch public prices, and show what a model costs.",
    "limits": "Show what is used of limits and budgets.",
    "simulate": "Serve a provider that answers without a model, for tests and demonstrations.",
    "usage": "Show the usage ledger, or sums over it.",
    "migrate": "Bring the database to this version's schema, or to another.",
    "version": "Show versions and the compiled modules.",
}


class LazyGroup(click.Group):
    """A group that knows the names and one line of help of its commands, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of `COMMANDS`: the most used first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the command. A compiled module that is missing is told in one line; any other failure as it is."""
        if name not in COMMANDS:
            return None
        try:
            command: click.Command = import_module(f"switchgear.cli.{name}").command
        except ImportError as error:
            _tell_what_is_not_built(error)
            raise
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help, from `COMMANDS` alone."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _tell_what_is_not_built(error: ImportError) -> None:
    """Raises `click.ClickException` when a compiled module is missing."""
    from switchgear.hotpath import require

    try:
        require()
    except ImportError as missing:
        raise click.ClickException(str(missing)) from error


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from switchgear.cli.version import summary

        click.echo(summary())
        ctx.exit()


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show versions and the compiled modules, and exit.",
)
def main() -> None:
    """Switchgear: an OpenAI-compatible gateway in front of many LLM providers."""
