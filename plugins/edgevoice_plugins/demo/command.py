"""`edgevoice demo`: publishes real announcements, plays them, and says whether all went as expected."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevoice import logs
from edgevoice.errors import EdgeVoiceError, PluginError

if TYPE_CHECKING:
    from edgevoice_plugins.demo.audience import Audience

HEARD = 1.2
"""Seconds of the long announcement that are heard before the critical one cuts in."""
LONGEST = 58.0
"""Seconds the demo takes at most."""


@click.command()
@click.option("--wav", metavar="FILE", help="Write into a WAV file instead of playing on the sound card.")
def demo(wav: str | None) -> None:
    """Hear EdgeVoice at once: no account, no broker and no sound card are needed.

    Starts an embedded broker, the local voice behind a Lightning-compatible server, and the daemon;
    publishes announcements over MQTT that take every transport; prints what became of each.
    """
    logs.setup("ERROR")
    for variable in ("SMALLEST_API_KEY", "EDGEVOICE_CONFIG", "CREDENTIALS_DIRECTORY"):
        os.environ.pop(variable, None)
    _require()
    problems = asyncio.run(_demo(wav))
    if not os.isatty(1):
        click.echo()  # the table that is not live ends without a line's end
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise SystemExit(1)
    click.echo("Every announcement ended as expected.")


def _require() -> None:
    from importlib.util import find_spec  # noqa: PLC0415 - only needed here

    lacking = [name for name in ("amqtt", "espeakng_loader") if find_spec(name) is None]
    if lacking:
        raise PluginError(f'the demo needs {" and ".join(lacking)}: pip install "edgevoice[demo]"')


async def _demo(wav: str | None) -> list[str]:
    from rich.console import Console  # noqa: PLC0415 - only needed here
    from rich.live import Live  # noqa: PLC0415

    from edgevoice_plugins.demo import show  # noqa: PLC0415
    from edgevoice_plugins.demo.audience import Audience  # noqa: PLC0415
    from edgevoice_plugins.demo.script import ACTS  # noqa: PLC0415
    from edgevoice_plugins.demo.stage import SPEAKER, stage  # noqa: PLC0415

    console = Console(width=None if os.isatty(1) else 140)
    output, where = await _output(wav)
    console.print(f"Plays {where}.", highlight=False)
    with Live(show.table(ACTS, None, console.width), console=console, auto_refresh=False) as live:
        try:
            async with asyncio.timeout(LONGEST), stage(output) as port:
                audience = Audience(
                    port,
                    SPEAKER,
                    lambda: live.update(show.table(ACTS, audience, console.width), refresh=True),
                )
                async with audience:
                    return await _acts(audience)
        except TimeoutError:
            return [f"the demo did not end within {LONGEST:g} s"]


async def _acts(audience: Audience) -> list[str]:
    from edgevoice_plugins.demo.script import ACTS, problem  # noqa: PLC0415

    for act, following in zip(ACTS, [*ACTS[1:], None], strict=True):
        await audience.publish(act)
        if following is not None and following.cuts_in:
            await audience.step(act, "started")
            await asyncio.sleep(HEARD)
        else:
            await audience.ended(act)
    problems = []
    for act in ACTS:
        outcome = await audience.ended(act)
        if (found := problem(act, audience.names(act), outcome)) is not None:
            problems.append(f"{act.title}: {found}")
    return problems


async def _output(wav: str | None) -> tuple[dict[str, Any], str]:
    """The options of the speaker: the sound card, unless there is none or a file was asked for."""
    if wav is None and (why := await _no_card()) is None:
        return {"output": "sound_card"}, "on the sound card"
    file = _new_file(wav or "edgevoice-demo.wav")
    reason = "" if wav is not None else f" ({why})"
    return {"output": "wav_file", "path": str(file)}, f"into {file}{reason}"


def _new_file(name: str) -> Path:
    file = Path(name).absolute()
    try:
        file.unlink(missing_ok=True)  # the output appends; the demo begins anew
        file.touch()
    except OSError as error:
        raise click.UsageError(
            f"{file} cannot be written ({error.strerror}): name another with --wav"
        ) from None
    return file


async def _no_card() -> str | None:
    """Why nothing can be heard here, or None."""
    from edgevoice_plugins.demo.stage import sound_card  # noqa: PLC0415 - only needed here

    try:
        async with asyncio.timeout(10), sound_card() as card:
            await card.probe()
    except (EdgeVoiceError, TimeoutError) as error:
        return str(error) or "the sound card does not answer"
    return None
