"""The daemon: everything entered in order, run together, and left in reverse."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import msgspec

from edgevoice.assembly import Entered, enter_outputs, enter_transports, make_context, routes, targets
from edgevoice.faults import Faults
from edgevoice.intake import Intake
from edgevoice.observers import Observers
from edgevoice.plugin import Observer
from edgevoice.speaker import Speaker
from edgevoice.state import Spool
from edgevoice.synthesis import Synthesis

if TYPE_CHECKING:
    from collections.abc import Collection

    from edgevoice.commands import Submit
    from edgevoice.config import Settings
    from edgevoice.plugin import Source

logger = logging.getLogger(__name__)

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
        sources = {name: kind(context, settings.section(name)) for name, kind in plugins.sources.items()}
        watching = {name: kind(context, settings.section(name)) for name, kind in plugins.observers.items()}
        observing = {
            name: part for name, part in {**sources, **watching}.items() if isinstance(part, Observer)
        }
        observers = Observers(observing)
        core = msgspec.structs.replace(settings.core, lightning=context.lightning)
        synthesis = await stack.enter_async_context(
            Synthesis(transports, core, routes(settings), spool=Spool(context.state_dir), fault=faults.set)
        )
        speakers = {
            name: Speaker(
                name, outputs[name], options, limit=core.limits.queue, observers=observers, faults=faults
            )
            for name, options in core.speakers.items()
        }
        answering = {
            target: [speakers[name] for name in names] for target, names in targets(settings).items()
        }
        intake = Intake(core.node, answering, synthesis, observers)
        faults.changed = lambda: _show(speakers.values())
        for name, part in {**sources, **watching}.items():
            await entered.enter(name, part)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(speaker.run()) for speaker in speakers.values()]
            running += [
                group.create_task(_listening(name, it, intake.submit)) for name, it in sources.items()
            ]
            running += [group.create_task(observer.run()) for observer in observing.values()]
            _show(speakers.values())
            context.ready.set()
            logger.info("ready, as %s", ", ".join(speakers))
            await stop.wait()
            logger.info("ending")
            intake.close()
            await asyncio.gather(*(speaker.drain(LAST_WORDS) for speaker in speakers.values()))
            for task in running:
                task.cancel()


async def _listening(name: str, source: Source, submit: Submit) -> None:
    """A source that ends or raises is begun again, with a growing pause; it never takes the others down."""
    loop, pause = asyncio.get_running_loop(), 1.0
    while True:
        began = loop.time()
        try:
            await source.listen(submit)
            logger.warning("source %s ended; it begins again in %.0f s", name, pause)
        except Exception:
            logger.exception("source %s failed; it begins again in %.0f s", name, pause)
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter
        pause = 1.0 if loop.time() - began > 60 else min(pause * 2, 60.0)


def _show(speakers: Collection[Speaker]) -> None:
    for speaker in speakers:
        speaker.show()
