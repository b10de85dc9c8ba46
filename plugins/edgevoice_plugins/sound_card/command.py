"""The command `edgevoice devices`: lists the sound devices."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import click

from edgevoice_plugins.sound_card.output import SoundCard
from edgevoice_plugins.sound_card.process import CHILD_MODULE, child_environment

LIST_TIMEOUT_S = 10.0
NO_DEVICES = (
    "There is no sound card here. If one is plugged in, check whether `aplay -l` lists it and whether this user is in "
    "the group `audio`; else choose `output: wav_file`."
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def devices(as_json: bool) -> None:
    """List the sound devices that `output: sound_card` can play on."""
    if missing := SoundCard.missing_dependency():
        raise click.ClickException(f"'sound_card' {missing}")
    found = _list_devices()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        width = max(len(str(device["name"])) for device in found)
        for device in found:
            default = "  default" if device["default"] else ""
            name, channels, rate = device["name"], device["channels"], device["sample_rate"]
            click.echo(f"{name:{width}}  {channels:3} channels  {rate:6} Hz{default}")
    if not found:
        raise click.ClickException(NO_DEVICES)


def _list_devices() -> list[dict[str, Any]]:
    """Ask a child process: a frozen sound server would hang this one."""
    try:
        answer = subprocess.run(
            [sys.executable, "-m", CHILD_MODULE, "--list"],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=LIST_TIMEOUT_S,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise click.ClickException(
            f"The sound system has not answered for {LIST_TIMEOUT_S:.0f} s: restart the sound server."
        ) from error
    except subprocess.CalledProcessError as error:
        raise click.ClickException("PortAudio failed; check whether ALSA works: `aplay -L`.") from error
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found
