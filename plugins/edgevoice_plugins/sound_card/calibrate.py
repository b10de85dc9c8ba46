"""The command `edgevoice calibrate`: how much of the beginning a sink loses, after which sleep, and what helps."""

from __future__ import annotations

import asyncio
import math
import tempfile
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click
import msgspec

from edgevoice import ConfigError, Context, OutputError, SpeechOptions, load_settings, state_dir
from edgevoice_plugins.sound_card import lead_in
from edgevoice_plugins.sound_card.listening import MONITOR, RATE, recording, source
from edgevoice_plugins.sound_card.options import Options
from edgevoice_plugins.sound_card.output import SoundCard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice import Settings
    from edgevoice_plugins.sound_card.lead_in import Learned

SLEEPS_S = (2, 4, 8, 15, 30, 60, 120, 300, 600)
BEFORE_S, AFTER_S = 0.2, 1.5
"""Recorded before the tone and behind it: a Bluetooth sink may be heard a second late."""
LISTENS_WITHIN_S = 0.3
"""So long before a tone the microphone is opened."""
LISTEN_HELP = f"The microphone: its name or a part of it; or `{MONITOR}`: what the sound server plays."


@click.command()
@click.option("--speaker", help="The speaker to measure; needed where several have a sound card.")
@click.option("--listen", default="default", show_default=True, metavar="NAME", help=LISTEN_HELP)
@click.option("--longest", default=60.0, show_default=True, metavar="S", help="The longest sleep to try.")
@click.option("--config", metavar="FILE", help="The configuration.")
def calibrate(speaker: str | None, listen: str, longest: float, config: str | None) -> None:
    """Measure how much of the first word a sleeping speaker loses, so that it loses none.

    Plays a rising tone after sleeps of growing length and listens. Stop the daemon before, and put the
    microphone near the speaker. A monitor hears what the sound server loses, but not the device behind it.
    """
    if missing := SoundCard.missing_dependency():
        raise click.ClickException(f"'sound_card' {missing}")
    settings = load_settings(config)
    name, options = _measured(settings, speaker)
    learned = asyncio.run(_measure(name, options, listen, longest))
    click.echo(_result(learned))
    _keep(settings, options, learned)


def _measured(settings: Settings, wanted: str | None) -> tuple[str, Options]:
    """The speaker that is to be measured."""
    cards = {name: options for name, options in settings.outputs.items() if isinstance(options, Options)}
    if wanted is None and len(cards) == 1:
        return next(iter(cards.items()))
    if wanted in cards:
        return wanted, cards[wanted]
    raise click.UsageError(
        f"choose a speaker that has a sound card with --speaker: {', '.join(cards) or 'there is none'}"
    )


async def _measure(speaker: str, options: Options, listen: str, longest: float) -> Learned:
    from edgevoice_plugins.sound_card import calibration  # noqa: PLC0415 - numpy, only needed here

    device, besides = await source(listen, options.device)
    played = calibration.tone()
    lost: list[tuple[float, float]] = []
    async with SoundCard(_context(speaker), msgspec.structs.replace(options, lead_in=0)) as card:
        click.echo("sleep     lost of the beginning")
        silent_since = 0.0
        for sleep in (math.inf, *(sleep for sleep in SLEEPS_S if sleep <= longest)):
            click.echo(f"{_spelled(sleep):<10}", nl=False)
            due = silent_since + sleep if lost else monotonic()
            await asyncio.sleep(due - monotonic() - LISTENS_WITHIN_S)
            async with recording(device, besides) as heard:
                await asyncio.sleep(max(BEFORE_S, due - monotonic()))
                await card.play(_once(played), RATE, _Unheeded())
                silent_since = monotonic()
                await asyncio.sleep(AFTER_S)
            seconds = calibration.lost_seconds(bytes(heard))
            if seconds is None:
                raise OutputError(
                    "\nnothing of the tone was heard: turn the speaker up, put the microphone near it, "
                    "or choose another with `--listen`"
                )
            click.echo(f"{seconds * 1000:.0f} ms" if seconds >= calibration.NOTHING_S else "nothing")
            lost.append((float(sleep), seconds))
    return calibration.learn(lost)


async def _once(played: bytes) -> AsyncIterator[bytes]:
    yield played


class _Unheeded:
    """A progress that nobody looks at."""

    def written(self, frames: int) -> None:
        pass

    def played(self, frames: int) -> None:
        pass


def _spelled(sleep: float) -> str:
    return "at first" if sleep == math.inf else f"{sleep} s"


def _result(learned: Learned) -> str:
    if not learned.lead_in:
        return "No lead-in is needed."
    return f"Needed: lead_in: {learned.lead_in}, lead_in_after: {learned.after:g}"


def _keep(settings: Settings, options: Options, learned: Learned) -> None:
    """Leave it where the daemon finds it, unless its configuration says otherwise, or it cannot be written."""
    if options.lead_in != "auto":
        click.echo(
            f"The configuration says `lead_in: {options.lead_in}`, which stands above what was measured."
        )
    try:
        folder = state_dir(settings.core.state_dir)
        lead_in.save(folder, options.device, learned)
    except (OSError, ConfigError) as error:
        raise OutputError(
            f"it cannot be kept for the daemon: write it into the configuration ({error})"
        ) from error
    click.echo(f"Kept in {folder / lead_in.LEARNED}; the daemon takes it up at its next start.")


def _context(name: str) -> Context:
    """What a card outside of any daemon needs."""
    return Context(
        node="calibrate",
        state_dir=Path(tempfile.gettempdir()),
        speaker=name,
        speech=SpeechOptions(sample_rate=RATE),
    )
