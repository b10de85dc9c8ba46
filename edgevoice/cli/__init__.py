"""The command line: `edgevoice COMMAND`. A command is imported when it is called."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name

import click

from edgevoice import __version__
from edgevoice.errors import ConfigError, EdgeVoiceError

COMMANDS = {
    "run": "edgevoice.cli.run:run",
    "cache": "edgevoice.cli.cache:cache",
    "check": "edgevoice.cli.inspect:check",
    "explain": "edgevoice.cli.explain:explain",
    "history": "edgevoice.cli.history:history",
    "plugins": "edgevoice.cli.inspect:plugins",
    "schema": "edgevoice.cli.inspect:schema",
}
GROUP = "edgevoice.commands"


class Commands(click.Group):
    """The commands of the core and of the plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted({*COMMANDS, *entry_points(group=GROUP).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name in COMMANDS:
            return _command(resolve_name(COMMANDS[cmd_name]))
        for entry in entry_points(group=GROUP):
            if entry.name == cmd_name:
                return _load(entry)
        return None

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. An error becomes a message and an exit status."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            click.echo(
                f"The configuration has mistakes:\n{error}" if len(error.issues) > 1 else str(error),
                err=True,
            )
            ctx.exit(2)
        except EdgeVoiceError as error:
            click.echo(str(error), err=True)
            ctx.exit(1)


def _command(command: object) -> click.Command:
    if not isinstance(command, click.Command):
        raise TypeError(f"{command!r} is not a click command")
    return command


def _load(entry: EntryPoint) -> click.Command:
    """Load a plugin's command. A broken one fails when it is called, so that the others work."""
    try:
        return _command(entry.load())
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        problem = str(error)

        @click.command(
            entry.name, help=f"Broken: {problem}", context_settings={"ignore_unknown_options": True}
        )
        @click.argument("rest", nargs=-1)
        def broken(rest: tuple[str, ...]) -> None:
            del rest
            raise EdgeVoiceError(f"the command {entry.name!r} of a plugin cannot be loaded: {problem}")

        return broken


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edgevoice")
def edgevoice() -> None:
    """EdgeVoice speaks announcements from MQTT over your speakers, with streamed Lightning speech.

    Start with `edgevoice demo`: it needs no account, no broker and no sound card.
    """


def main() -> None:
    sys.exit(edgevoice())
