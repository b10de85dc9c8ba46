"""`edgevoice demo`: publishes real announcements, plays them, and compares them with what is expected."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevoice import EdgeVoiceError, PluginError, setup_logging

if TYPE_CHECKING:
    from edgevoice_plugins.demo.client import DemoClient

#: The long announcement plays this long before the critical one interrupts it.
INTERRUPT_AFTER_S = 1.2
TIMEOUT_S = 58.0


@click.command()
@click.option("--wav", metavar="FILE", help="Write into a WAV file instead of playing on the sound card.")
def demo(wav: str | None) -> None:
    """Hear EdgeVoice at once, without an account, a broker or a sound card.

    Starts an embedded broker, the local voice behind a Lightning-compatible server, and the daemon;
    publishes announcements over MQTT that take every transport; prints the outcome of each.
    """
    setup_logging("ERROR")
    for variable in ("SMALLEST_API_KEY", "EDGEVOICE_CONFIG", "CREDENTIALS_DIRECTORY"):
        os.environ.pop(variable, None)
    _check_dependencies()
    problems = asyncio.run(_demo(wav))
    if not os.isatty(1):
        click.echo()  # a table that is not live ends without a newline
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise SystemExit(1)
    click.echo("Every announcement ended as expected.")


def _check_dependencies() -> None:
    from importlib.util import find_spec  # noqa: PLC0415 - only needed here

    missing = [name for name in ("amqtt", "espeakng_loader") if find_spec(name) is None]
    if missing:
        raise PluginError(f'the demo needs {" and ".join(missing)}: pip install "edgevoice[demo]"')


async def _demo(wav: str | None) -> list[str]:
    from rich.console import Console  # noqa: PLC0415 - only needed here
    from rich.live import Live  # noqa: PLC0415

    from edgevoice_plugins.demo.client import DemoClient  # noqa: PLC0415
    from edgevoice_plugins.demo.harness import SPEAKER, run_harness  # noqa: PLC0415
    from edgevoice_plugins.demo.scenario import STEPS  # noqa: PLC0415
    from edgevoice_plugins.demo.table import build_table  # noqa: PLC0415

    console = Console(width=None if os.isatty(1) else 140)
    output, place = await _choose_output(wav)
    console.print(f"Plays {place}.", highlight=False)
    with Live(build_table(STEPS, None, console.width), console=console, auto_refresh=False) as live:
        try:
            async with asyncio.timeout(TIMEOUT_S), run_harness(output) as port:
                client = DemoClient(
                    port,
                    SPEAKER,
                    lambda: live.update(build_table(STEPS, client, console.width), refresh=True),
                )
                async with client.connected():
                    return await _play(client)
        except TimeoutError:
            return [f"the demo did not end within {TIMEOUT_S:g} s"]


async def _play(client: DemoClient) -> list[str]:
    """Play the scenario; return what was not as expected."""
    from edgevoice_plugins.demo.scenario import STEPS, mismatch  # noqa: PLC0415

    for step, following in zip(STEPS, [*STEPS[1:], None], strict=True):
        await client.publish(step)
        if following is not None and following.interrupts:
            await client.wait_for(step, "started")
            await asyncio.sleep(INTERRUPT_AFTER_S)
        else:
            await client.wait_for_outcome(step)
    problems = []
    for step in STEPS:
        outcome = await client.wait_for_outcome(step)
        if (found := mismatch(step, client.event_types(step), outcome)) is not None:
            problems.append(f"{step.title}: {found}")
    return problems


async def _choose_output(wav: str | None) -> tuple[dict[str, Any], str]:
    """Return the output options of the speaker, and where it plays: the sound card if there is one."""
    if wav is None and (problem := await _sound_card_problem()) is None:
        return {"output": "sound_card"}, "on the sound card"
    file = _new_file(wav or "edgevoice-demo.wav")
    reason = "" if wav is not None else f" ({problem})"
    return {"output": "wav_file", "path": str(file)}, f"into {file}{reason}"


def _new_file(name: str) -> Path:
    file = Path(name).absolute()
    try:
        file.unlink(missing_ok=True)  # the output would append
        file.touch()
    except OSError as error:
        raise click.UsageError(
            f"{file} cannot be written ({error.strerror}); name another file with --wav"
        ) from None
    return file


async def _sound_card_problem() -> str | None:
    """Return why the sound card cannot be used, None if it can."""
    from edgevoice_plugins.demo.harness import sound_card  # noqa: PLC0415 - only needed here

    try:
        async with asyncio.timeout(10), sound_card() as card:
            await card.probe()
    except (EdgeVoiceError, TimeoutError) as error:
        return str(error) or "the sound card does not answer"
    return None
