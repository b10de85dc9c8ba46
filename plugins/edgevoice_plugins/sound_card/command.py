"""The command `edgevoice devices`: what announcements can be played on."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import click

from edgevoice_plugins.sound_card.output import SoundCard
from edgevoice_plugins.sound_card.process import CHILD, child_environment

ANSWER_WITHIN_S = 10.0
NONE = (
    "There is no sound card here. If one is plugged in, see whether `aplay -l` knows it and whether this user is in "
    "the group `audio`; else choose `output: wav_file`."
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def devices(as_json: bool) -> None:
    """List the sound devices that `output: sound_card` can play on."""
    if missing := SoundCard.missing_dependency():
        raise click.ClickException(f"'sound_card' {missing}")
    found = _listed()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        width = max(len(str(device["name"])) for device in found)
        for device in found:
            default = "  default" if device["default"] else ""
            name, channels, rate = device["name"], device["channels"], device["sample_rate"]
            click.echo(f"{name:{width}}  {channels:3} channels  {rate:6} Hz{default}")
    if not found:
        raise click.ClickException(NONE)


def _listed() -> list[dict[str, Any]]:
    """Ask a process of its own: a frozen sound server would hang this one."""
    try:
        asked = subprocess.run(
            [sys.executable, "-m", CHILD, "--list"],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=ANSWER_WITHIN_S,
            check=True,
        )
    except subprocess.TimeoutExpired as late:
        raise click.ClickException(
            f"The sound system has not answered for {ANSWER_WITHIN_S:.0f} s: restart the sound server."
        ) from late
    except subprocess.CalledProcessError as failed:
        raise click.ClickException("PortAudio failed; see whether ALSA works: `aplay -L`.") from failed
    found: list[dict[str, Any]] = json.loads(asked.stdout)
    return found
