"""The life of the daemon on one page: start the components in order, run them together, stop in reverse."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from edgevoice.backoff import Backoff
from edgevoice.cache.cache import Cache, KeyScheme, cache_dir
from edgevoice.cache.prerender import Prerenderer
from edgevoice.composition import (
    PluginStarter,
    build_node,
    concurrency_limiters,
    probe_output,
    usable_transports,
)
from edgevoice.control import Control, build_handlers
from edgevoice.faults import Faults
from edgevoice.intake.payload import payload_of
from edgevoice.paths import spool_dir, state_dir
from edgevoice.plugin import Observer
from edgevoice.storage.recorder import Recorder
from edgevoice.storage.store import Store
from edgevoice.synthesis.latency import LatencyModel
from edgevoice.synthesis.synthesizer import SynthesisContext, Synthesizer, Timeouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence

    from edgevoice.composition import Node
    from edgevoice.config import Settings
    from edgevoice.playback.speaker import Speaker
    from edgevoice.plugin import Output

logger = logging.getLogger(__name__)

#: The namespace of the learned latency in the store.
LATENCY_NAMESPACE = "latency"
DEFAULT_TIMEOUTS = Timeouts()
#: Interval at which speakers compare the wall clock with quiet hours.
TICK_S = 10.0
#: How long the current announcement may go on after the daemon was told to stop.
DRAIN_TIMEOUT_S = 4.0
#: Delay before a failed component is started again: at first, and at most.
RESTART_S, MAX_RESTART_S = 1.0, 60.0
#: A component that ran this long counts as recovered.
STABLE_S = 60.0


async def run(settings: Settings, stop: asyncio.Event, *, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
    """Run until `stop` is set, then finish the current announcements, publish every outcome and return.

    Raises:
        ConfigError: A mistake that only shows at run time, such as no transport that could speak.
    """
    async with AsyncExitStack() as stack:
        try:
            async with _abort_when(stop):
                serve = await _start(settings, stack, timeouts)
        except TimeoutError:
            if stop.is_set():
                return  # nothing was accepted yet
            raise
        await serve(stop)


async def _start(
    settings: Settings, stack: AsyncExitStack, timeouts: Timeouts
) -> Callable[[asyncio.Event], Awaitable[None]]:
    """Start the components in order; return the function that runs them until the event is set."""
    faults, plugins, core = Faults(), settings.plugins, settings.core
    folder = state_dir(core.state_dir)
    # First: it refuses a second daemon on the same state before that touches anything.
    store = await stack.enter_async_context(Store(folder, fault=faults.set))
    starter = PluginStarter(settings, folder, stack, faults, store.delivered)
    transports = await starter.transports()
    outputs = await starter.outputs()
    watching = await starter.plugins(plugins.observers)
    sources = await starter.plugins(plugins.sources)
    watching |= {name: source for name, source in sources.items() if isinstance(source, Observer)}
    cache = await stack.enter_async_context(Cache(cache_dir(folder), core.cache, KeyScheme(settings)))
    save_latency = partial(store.set_value, LATENCY_NAMESPACE)
    latency = LatencyModel(saved=store.values(LATENCY_NAMESPACE), save=save_latency)
    synthesis_context = SynthesisContext(
        transports,
        core,
        settings.speech,
        concurrency_limiters(settings, faults),
        faults.set,
        unconfigured=usable_transports(settings).unconfigured,
        latency=latency,
        timeouts=timeouts,
    )
    synthesizer = await stack.enter_async_context(
        Synthesizer(
            synthesis_context,
            core.routes,
            cache=cache,
            spool=partial(spool_dir, folder),
            filter_text=plugins.filter_text if plugins.has_text_filters else None,
        )
    )
    prerenderer = Prerenderer(core.phrases, cache, synthesizer, faults.set)
    recorder = Recorder(store, watching, has_texts=core.history.texts)
    node = build_node(settings, outputs, synthesizer, recorder, faults)
    for speaker in node.speakers.values():
        await stack.enter_async_context(speaker)
    handlers = build_handlers(settings, node, cache, prerenderer, synthesizer.predict_latency)
    await stack.enter_async_context(Control(folder, handlers))
    restore = partial(recorder.restore, node.speakers, node.intake.restore)
    if store.is_loaded:
        await restore()  # before anything new arrives
    jobs: dict[str, Callable[[], Awaitable[None]]] = {
        **{f"{name}, observing": observer.run for name, observer in watching.items()},
        "intake": node.intake.run,
        "phrases": prerenderer.run,
        "storage": restore,
    }
    services = [
        *(
            partial(supervise, name, partial(source.listen, node.intake.submit))
            for name, source in sources.items()
        ),
        *(partial(supervise, name, job, may_return=True) for name, job in jobs.items()),
        partial(_run_speakers, node, outputs.values(), starter.context.ready),
        partial(_tick_speakers, node.speakers.values()),
    ]
    return partial(_serve, node, recorder, services)


async def _serve(
    node: Node,
    recorder: Recorder,
    services: Sequence[Callable[[], Coroutine[Any, Any, None]]],
    stop: asyncio.Event,
) -> None:
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(service()) for service in services]
        for speaker in node.speakers.values():
            speaker.show()
        await stop.wait()
        logger.info("stopping")
        node.intake.close()
        await asyncio.gather(*(_drain(speaker, recorder) for speaker in node.speakers.values()))
        for task in running:
            task.cancel()


async def _drain(speaker: Speaker, recorder: Recorder) -> None:
    """Let a speaker finish the current announcement, and keep what waits for the next start."""
    for item in await speaker.drain(DRAIN_TIMEOUT_S):
        recorder.keep_for_restart(speaker.name, item, payload_of(item.announcement))


async def _run_speakers(node: Node, outputs: Collection[Output], ready: asyncio.Event) -> None:
    """Run the speakers once each output was probed. Sources connect in the meantime."""
    await asyncio.gather(*map(probe_output, outputs))
    async with asyncio.TaskGroup() as group:
        for speaker in node.speakers.values():
            group.create_task(speaker.run())
        ready.set()
        logger.info("ready, as %s", ", ".join(node.speakers))


@asynccontextmanager
async def _abort_when(stop: asyncio.Event) -> AsyncIterator[None]:
    """Cancel the body when `stop` is set, however long it would still take.

    Raises:
        TimeoutError: The body was cancelled.
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


async def supervise(
    name: str, run_component: Callable[[], Awaitable[None]], *, may_return: bool = False
) -> None:
    """Run a component, and start it again after a growing delay if it fails. Other components run on.

    A component that returns has failed, too, unless it `may_return`.
    """
    clock, backoff = asyncio.get_running_loop().time, Backoff(RESTART_S, MAX_RESTART_S)
    while True:
        started_at = clock()
        try:
            await run_component()
            if may_return:
                return
            logger.error("%s returned, but must run until it is cancelled; it is started again", name)
        except (Exception, SystemExit):
            logger.exception("%s failed; it is started again", name)
        if clock() - started_at > STABLE_S:
            backoff.reset()
        await asyncio.sleep(backoff.next_delay_s())


async def _tick_speakers(speakers: Collection[Speaker]) -> None:
    """Let the speakers notice that quiet hours begin or end, and that do not disturb runs out."""
    while True:
        await asyncio.sleep(TICK_S)
        for speaker in speakers:
            speaker.tick()
