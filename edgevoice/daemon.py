"""The daemon: everything entered in order, run together, and left in reverse."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from edgevoice.assembly import (
    Entered,
    enter_outputs,
    enter_parts,
    enter_transports,
    make_context,
    routes,
    targets,
)
from edgevoice.chimes import Chimes
from edgevoice.faults import Faults
from edgevoice.intake import Intake
from edgevoice.manners import chimes_dir, local_clock, manners_of, rates_of
from edgevoice.observers import Observers
from edgevoice.plugin import Observer
from edgevoice.presence import Presence
from edgevoice.speaker import Speaker
from edgevoice.state import Spool
from edgevoice.storms import Storms
from edgevoice.synthesis import Synthesis

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from edgevoice.config import Settings

logger = logging.getLogger(__name__)

TICK = 10.0
"""Seconds between looks at the clock on the wall."""
LAST_WORDS = 4.0
"""Seconds that what is being said may go on after the daemon was told to end."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then let what is being said end, tell every outcome, and leave.

    Raises:
        ConfigError: what only shows at run time, such as neither a key nor a local voice.
    """
    async with AsyncExitStack() as stack:
        entered, faults, plugins = Entered(stack), Faults(), settings.plugins
        context = await make_context(settings, stack, entered, faults)
        transports = await enter_transports(settings, context, entered)
        outputs = await enter_outputs(settings, context, entered)
        observing: dict[str, Observer] = await enter_parts(settings, context, entered, plugins.observers)
        sources = await enter_parts(settings, context, entered, plugins.sources)
        observing |= {name: source for name, source in sources.items() if isinstance(source, Observer)}
        observers = Observers(observing)
        core = msgspec.structs.replace(settings.core, lightning=context.lightning)
        synthesis = await stack.enter_async_context(
            Synthesis(transports, core, routes(settings), spool=Spool(context.state_dir), fault=faults.set)
        )
        chimes, clock = Chimes(chimes_dir(settings)), local_clock(core)
        speakers = {
            name: Speaker(
                name,
                outputs[name],
                Presence(manners_of(core, options), options.volume, clock),
                chimes=chimes,
                speech_of=synthesis.speech,
                escalate=lambda announcement: intake.escalate(announcement),
                observers=observers,
                faults=faults,
            )
            for name, options in core.speakers.items()
        }
        answering = {
            target: [speakers[name] for name in names] for target, names in targets(settings).items()
        }
        intake = Intake(
            core.node,
            answering,
            synthesis,
            observers,
            storms=Storms(rates_of(core)),
            keep=lambda announcement, command, names: None,
            language=core.lightning.language,
        )
        faults.changed = lambda: _show(speakers.values())
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(speaker.run()) for speaker in speakers.values()]
            running.append(group.create_task(_ticking(speakers.values())))
            for name, source in sources.items():
                running.append(group.create_task(_kept(name, partial(source.listen, intake.submit))))
            for name, observer in observing.items():
                running.append(group.create_task(_kept(name, observer.run)))
            _show(speakers.values())
            context.ready.set()
            logger.info("ready, as %s", ", ".join(speakers))
            await stop.wait()
            logger.info("ending")
            intake.close()
            await asyncio.gather(*(speaker.drain(LAST_WORDS) for speaker in speakers.values()))
            for task in running:
                task.cancel()


async def _kept(name: str, run_part: Callable[[], Awaitable[None]]) -> None:
    """Run a part; one that raises is begun again, with a growing pause, and never takes the others down."""
    loop, pause = asyncio.get_running_loop(), 1.0
    while True:
        began = loop.time()
        try:
            return await run_part()
        except (Exception, SystemExit):
            logger.exception("%s failed; it begins again in at most %.0f s", name, pause)
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter
        pause = 1.0 if loop.time() - began > 60 else min(pause * 2, 60.0)


async def _ticking(speakers: Collection[Speaker]) -> None:
    """Let the speakers see that time goes by: quiet hours begin and end, do not disturb runs out."""
    while True:
        await asyncio.sleep(TICK)
        for speaker in speakers:
            speaker.tick()


def _show(speakers: Collection[Speaker]) -> None:
    for speaker in speakers:
        speaker.show()
