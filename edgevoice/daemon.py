"""The daemon: everything entered in order, run together, and left in reverse."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from edgevoice.cache.cache import build_cache
from edgevoice.cache.prerender import Prerenderer
from edgevoice.components import (
    ComponentStack,
    make_context,
    probe_outputs,
    routes,
    start_outputs,
    start_plugins,
    start_transports,
)
from edgevoice.composition import build_node, concurrency_limiters
from edgevoice.control import Control, build_handlers
from edgevoice.faults import Faults
from edgevoice.forecast.file import ForecastFile
from edgevoice.forecast.forecast import LatencyModel
from edgevoice.journal.journal import Journal
from edgevoice.journal.keeper import Keeper
from edgevoice.observers import Observers
from edgevoice.paths import SpoolDir
from edgevoice.plugin import Observer
from edgevoice.synthesis.context import SynthesisContext
from edgevoice.synthesis.synthesizer import Synthesizer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping

    from edgevoice.composition import Node
    from edgevoice.config import Settings
    from edgevoice.speaker.speaker import Speaker

logger = logging.getLogger(__name__)

TICK_S = 10.0
"""Seconds between looks at the clock on the wall."""
DRAIN_TIMEOUT_S = 4.0
"""Seconds that what is being said may go on after the daemon was told to end."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then let what is being said end, tell every outcome, and leave.

    Raises:
        ConfigError: what only shows at run time, such as neither a key nor a local voice.
    """
    async with AsyncExitStack() as stack:
        try:
            async with _abort_when(stop):
                inside = await _start(settings, stack)
        except TimeoutError:
            if stop.is_set():
                return  # nothing was accepted yet
            raise
        await _serve(inside, stop)


@dataclass(frozen=True, slots=True)
class _Runtime:
    """What was entered, and now is to run: the node, and the parts around it by name."""

    node: Node
    parts: Mapping[str, Callable[[], Awaitable[None]]]
    keeper: Keeper
    try_outputs: Callable[[], Awaitable[None]]
    ready: asyncio.Event


async def _start(settings: Settings, stack: AsyncExitStack) -> _Runtime:
    entered, faults, plugins = ComponentStack(stack), Faults(), settings.plugins
    context = make_context(settings, stack, entered, faults)
    # First: it refuses a second daemon on the same state before that touches anything.
    journal = await stack.enter_async_context(Journal(context.state_dir / "journal", fault=faults.set))
    keeper = Keeper(journal, context)
    transports = await start_transports(settings, context, entered)
    outputs = await start_outputs(settings, context, entered)
    watching = await start_plugins(settings, context, entered, plugins.observers)
    sources = await start_plugins(settings, context, entered, plugins.sources)
    watching |= {name: source for name, source in sources.items() if isinstance(source, Observer)}
    cache = await stack.enter_async_context(build_cache(settings, context.state_dir))
    core = settings.core
    forecast = LatencyModel()
    kept = await stack.enter_async_context(ForecastFile(context.state_dir / "forecast.json", forecast))
    spool = SpoolDir(context.state_dir)
    limiters = concurrency_limiters(settings, faults)
    means = SynthesisContext(transports, core, settings.speech, limiters, faults.set, forecast=forecast)
    synthesis = await stack.enter_async_context(
        Synthesizer(means, routes(settings), cache=cache, spool=spool)
    )
    phrases = Prerenderer(core.phrases, cache, synthesis, faults.set)
    observers = Observers({"journal": keeper, **watching})
    node = build_node(settings, outputs, synthesis, observers, faults, keeper)
    faults.on_change = node.publish_state
    await stack.enter_async_context(
        Control(context.state_dir, build_handlers(settings, node, keeper, cache, phrases, synthesis.outlook))
    )
    keeper.restore(node.speakers, node.intake.restore)
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        name: partial(source.listen, node.intake.submit) for name, source in sources.items()
    }
    parts |= {f"{name}, watching": observer.run for name, observer in watching.items()}
    parts |= {"cache": cache.run, "phrases": phrases.run, "forecast": kept.run}
    return _Runtime(node, parts, keeper, partial(probe_outputs, context, outputs), context.ready)


async def _serve(inside: _Runtime, stop: asyncio.Event) -> None:
    node = inside.node
    speakers = node.speakers.values()
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_supervise(name, part)) for name, part in inside.parts.items()]
        running.append(group.create_task(_run_speakers(inside)))
        running.append(group.create_task(_tick_speakers(speakers)))
        node.publish_state()
        await stop.wait()
        logger.info("ending")
        node.intake.close()
        survives = inside.keeper.survives
        await asyncio.gather(
            *(speaker.drain(DRAIN_TIMEOUT_S, partial(survives, speaker.name)) for speaker in speakers)
        )
        for task in running:
            task.cancel()


async def _run_speakers(inside: _Runtime) -> None:
    """Say what comes, once each output was tried: meanwhile the sources connect already."""
    await inside.try_outputs()
    async with asyncio.TaskGroup() as group:
        for speaker in inside.node.speakers.values():
            group.create_task(speaker.run())
        inside.ready.set()
        logger.info("ready, as %s", ", ".join(inside.node.speakers))


@asynccontextmanager
async def _abort_when(stop: asyncio.Event) -> AsyncIterator[None]:
    """Give the body up when `stop` is set, however long it would still take.

    Raises:
        TimeoutError: it was given up.
    """
    async with asyncio.timeout(None) as scope:

        async def watch() -> None:
            await stop.wait()
            scope.reschedule(asyncio.get_running_loop().time())

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()


async def _supervise(name: str, run_part: Callable[[], Awaitable[None]]) -> None:
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


async def _tick_speakers(speakers: Collection[Speaker]) -> None:
    """Let the speakers see that time goes by: quiet hours begin and end, do not disturb runs out."""
    while True:
        await asyncio.sleep(TICK_S)
        for speaker in speakers:
            speaker.tick()
