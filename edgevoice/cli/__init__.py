"""The command line: `edgevoice COMMAND`; each command is imported only when it is called."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import click

from edgevoice import __version__
from edgevoice.errors import ConfigError, EdgeVoiceError

OWN = {
    "run": "edgevoice.cli.run:run",
    "cache": "edgevoice.cli.cache:cache",
    "check": "edgevoice.cli.check:check",
    "explain": "edgevoice.cli.explain:explain",
    "history": "edgevoice.cli.history:history",
    "plugins": "edgevoice.cli.plugins:plugins",
    "schema": "edgevoice.cli.schema:schema",
}
GROUP = "edgevoice.commands"


class Commands(click.Group):
    """The core's own commands and those that plugins bring."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted({*OWN, *entry_points(group=GROUP).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name in OWN:
            module, _, name = OWN[cmd_name].partition(":")
            return _command(getattr(__import__(module, fromlist=[name]), name))
        for entry in entry_points(group=GROUP):
            if entry.name == cmd_name:
                return _load(entry.name, entry.load)
        return None

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what went wrong is said in a sentence, with the contract's exit status."""
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
        raise TypeError(f"{command!r} is no command")
    return command


def _load(name: str, load: object) -> click.Command:
    """A plugin's command; one that cannot be loaded says so when it is called, and breaks no other."""
    try:
        return _command(load() if callable(load) else load)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        problem = str(error)

        @click.command(
            name, help=f"Cannot be used: {problem}", context_settings={"ignore_unknown_options": True}
        )
        @click.argument("rest", nargs=-1)
        def broken(rest: tuple[str, ...]) -> None:
            del rest
            raise EdgeVoiceError(f"the command {name!r} cannot be used: {problem}")

        return broken


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edgevoice")
def edgevoice() -> None:
    """EdgeVoice speaks announcements: MQTT in, Lightning speech out, as it streams.

    Start with `edgevoice demo`: it needs no account, no broker and no sound card.
    """


def main() -> None:
    """The console script."""
    sys.exit(edgevoice())
