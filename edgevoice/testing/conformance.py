"""Conformance suites: what every source, transport, output and observer must do.

Each `check_*` function constructs the plugin itself, several times, and raises an AssertionError that
names the rule which was broken. They need no daemon. The bundled plugins pass them in this project's tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import msgspec

from edgevoice.announcement import Urgency
from edgevoice.commands import Command
from edgevoice.errors import OutputError, TransportError
from edgevoice.outcome import Event, EventType, Rejection, SpeakerState
from edgevoice.plugin import Observer, Output, Plugin, Role, Source, Transport
from edgevoice.testing.kit import (
    RecordingProgress,
    check_chunk,
    context,
    elapsed_s,
    make,
    offered,
    play,
    request,
    synthesize,
    tone,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edgevoice.plugin import Context

P = TypeVar("P", bound=Plugin)

#: Every cancellation must be over within this time.
CANCEL_S = 2.0
#: A method that must not wait may take this long; it is generous, for slow machines.
NO_WAIT_S = 0.25
#: Share by which the length of the same speech may differ between two sample rates.
DURATION_TOLERANCE = 0.1
TEXT = "The washing machine is done."
_COMMANDS = get_args(Command)


async def check_source(
    kind: type[Source], state_dir: Path, *, given: Context | None = None, **options: Any
) -> None:
    """Check a source.

    Args:
        kind: The class.
        state_dir: A folder for its state.
        given: The context to use; by default `context(state_dir)`.
        options: The values of its section of the configuration.
    """
    given = given or context(state_dir)
    await _check_life(kind, Source, given, options)
    commands: list[Any] = []
    threads: set[int] = set()

    def submit(command: Any) -> None:
        commands.append(command)
        threads.add(threading.get_ident())

    async with _entered(kind, given, options) as source:
        listening = asyncio.create_task(source.listen(submit))
        await asyncio.wait({listening}, timeout=0.3)
        if listening.done():
            listening.result()
            raise AssertionError("listen() returned; it must run until it is cancelled")
        await _cancelled(listening, "listen()")
    for command in commands:
        assert isinstance(command, _COMMANDS), f"submit() was given {command!r}, which is not a Command"
    assert threads <= {threading.get_ident()}, "submit() was called outside the event loop's thread"


async def check_transport(
    kind: type[Transport], state_dir: Path, *, given: Context | None = None, text: str = TEXT, **options: Any
) -> None:
    """Check a transport. It must be able to speak `text` here, at 8000, 24000 and 44100 Hz.

    Args:
        kind: The class.
        state_dir: A folder for its state.
        given: The context to use; by default `context(state_dir)` without an HTTP session.
        text: A text of a few words.
        options: The values of its section of the configuration.
    """
    given = given or context(state_dir)
    await _check_life(kind, Transport, given, options)
    assert isinstance(kind.role, Role), "role must be a Role"
    for name in ("section", "account"):
        value = getattr(kind, name)
        assert value is None or (isinstance(value, str) and value), f"{name} must be None or a name"
    struct = make(kind, given, **options).config
    why = kind.unavailable_reason(struct)
    assert why is None, f"the transport cannot be used with these options: {why}"
    _check_identity(kind, struct)
    async with _entered(kind, given, options) as transport:
        assert isinstance(transport.is_warm, bool), "is_warm must be a bool"
        await _check_speech(transport, text)
        await _check_early_close(transport, text)
        if kind.accepts_text_stream:
            await _check_text_stream(transport, text)


def _check_identity(kind: type[Transport], options: Any) -> None:
    plain, spoken = request(None), request(None, voice="another", language="xx", speed=1.5)
    identity = kind.voice_identity(options, plain)
    assert identity is None or (isinstance(identity, str) and identity), "voice_identity() is None or a text"
    assert kind.voice_identity(options, request(None)) == identity, (
        "voice_identity() of equal requests differs"
    )
    if identity is not None:
        assert kind.voice_identity(options, spoken) != identity, (
            "voice_identity() must depend on voice, language and speed of the request"
        )


async def _check_speech(transport: Transport, text: str) -> None:
    durations = {}
    for rate in (24000, 8000, 44100):
        durations[rate] = len(await synthesize(transport, text, sample_rate=rate)) / 2 / rate
    longest, shortest = max(durations.values()), min(durations.values())
    assert longest - shortest <= DURATION_TOLERANCE * longest, (
        f"the audio is not at the sample rate of the request: seconds by rate are {durations}"
    )
    first, second = await asyncio.gather(synthesize(transport, text), synthesize(transport, text))
    assert first, "two requests at once"
    assert second, "two requests at once"
    for unspeakable in ("...", "\u200b"):
        with contextlib.suppress(TransportError):  # the only error that may come
            async for chunk in transport.synthesize(request(unspeakable)):
                check_chunk(chunk)


async def _check_early_close(transport: Transport, text: str) -> None:
    """Check that a request ends at once if its iterator is closed, or its task cancelled."""
    speech = transport.synthesize(request(text))
    assert hasattr(speech, "aclose"), "synthesize() must be an async generator: it is closed to cancel"
    async with aclosing(speech) as audio:  # type: ignore[type-var]
        async for _ in audio:
            break
        since = time.monotonic()
    assert elapsed_s(since) < CANCEL_S, "closing the iterator early takes too long"

    async def consume() -> None:
        async with aclosing(transport.synthesize(request(text))) as audio:  # type: ignore[type-var]
            async for _ in audio:
                await asyncio.sleep(3600)

    consuming = asyncio.create_task(consume())
    await asyncio.sleep(0.05)
    await _cancelled(consuming, "synthesize()")
    await synthesize(transport, text)  # works again afterwards


async def _check_text_stream(transport: Transport, text: str) -> None:
    async def words() -> AsyncIterator[str]:
        for word in text.split(" "):
            yield word + " "

    seconds = 0.0
    async for chunk in transport.synthesize(request(None, text_stream=words())):
        check_chunk(chunk)
        seconds += len(chunk) / 2 / 24000
    assert seconds, "a text stream ended without audio and without an error"


async def check_output(
    kind: type[Output], state_dir: Path, *, given: Context | None = None, **options: Any
) -> None:
    """Check an output. It must be able to play here; about three seconds of sound are played.

    Args:
        kind: The class.
        state_dir: A folder for its state.
        given: The context to use; by default `context(state_dir)`.
        options: The values of its keys in the configuration.
    """
    given = given or context(state_dir)
    await _check_life(kind, Output, given, options)
    struct = make(kind, given, **options).config
    resource = kind.exclusive_resource(struct)
    assert resource is None or isinstance(resource, str), "exclusive_resource() is None or a text"
    assert kind.exclusive_resource(struct) == resource, "exclusive_resource() of equal options differs"
    async with _entered(kind, given, options) as output:
        assert output.speaker == given.speaker, "self.speaker must be the context's: call super().__init__()"
        with contextlib.suppress(OutputError):  # an output may find no device; then it says so
            await output.probe()
        for rate, size_bytes in ((24000, 1200), (44100, 2), (8000, 16000)):
            pcm = tone(0.4 if size_bytes > 2 else 0.05, rate)
            _check_all_played(await play(output, pcm, rate, size_bytes=size_bytes), len(pcm) // 2, rate)
        pcm = tone(0.3)
        _check_all_played(await play(output, pcm, size_bytes=4800, pause_s=0.15), len(pcm) // 2, 24000)
        _check_all_played(await play(output, b""), 0, 24000)
        await _check_interruption(output)
        _check_all_played(await play(output, pcm), len(pcm) // 2, 24000)
        await _check_failing_audio(output)


def _check_all_played(progress: RecordingProgress, frames: int, rate: int) -> None:
    assert progress.offered_frames == frames, (
        f"play() returned after taking {progress.offered_frames} of {frames} frames at {rate} Hz"
    )
    assert progress.written_frames == frames, f"written() told {progress.written_frames} of {frames} frames"
    assert progress.played_frames == frames, f"played() told {progress.played_frames} of {frames} frames"


async def _check_interruption(output: Output) -> None:
    progress = RecordingProgress()
    pcm = tone(20.0)
    playing = asyncio.create_task(output.play(offered(pcm, progress, 4800, 0.02), 24000, progress))
    await asyncio.sleep(0.3)
    assert not playing.done(), "play() returned before its audio had ended"
    await _cancelled(playing, "play()")
    assert progress.played_frames <= progress.written_frames < len(pcm) // 2, "more was played than given"


async def _check_failing_audio(output: Output) -> None:
    """Check that an error of the audio comes out of `play` unchanged."""

    class AudioError(Exception):
        pass

    async def failing(progress: RecordingProgress) -> AsyncIterator[bytes]:
        async for chunk in offered(tone(0.1), progress):
            yield chunk
        raise AudioError

    progress = RecordingProgress()
    try:
        await output.play(failing(progress), 24000, progress)
    except AudioError:
        return
    except BaseException as error:
        raise AssertionError(f"an error of the audio came out of play() as {error!r}") from error
    raise AssertionError("an error of the audio did not come out of play()")


async def check_observer(
    kind: type[Observer], state_dir: Path, *, given: Context | None = None, **options: Any
) -> None:
    """Check an observer: it is told every kind of event, and must neither raise nor wait.

    Args:
        kind: The class.
        state_dir: A folder for its state.
        given: The context to use; by default `context(state_dir)`.
        options: The values of its section of the configuration.
    """
    given = given or context(state_dir)
    await _check_life(kind, Observer, given, options)
    async with _entered(kind, given, options) as observer:
        running = asyncio.create_task(observer.run())
        await asyncio.sleep(0.05)
        if running.done():
            running.result()
        for event in _events():
            _check_no_wait("on_event()", observer.on_event, event, None)
        _check_no_wait("on_state()", observer.on_state, "kitchen", SpeakerState())
        rejection = Rejection(node=given.node, target="kitchen", reason="blank", at=_NOW)
        _check_no_wait("on_rejected()", observer.on_rejected, rejection, None)
        await asyncio.sleep(0.05)
        if running.done():
            running.result()
        await _cancelled(running, "run()")


_NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def _events() -> list[Event]:
    return [
        Event(event_type=event_type, id="a1", speaker="kitchen", target="all", at=_NOW, urgency=urgency)
        for event_type in EventType
        for urgency in Urgency
    ]


def _check_no_wait(name: str, method: Any, *arguments: object) -> None:
    since = time.monotonic()
    result = method(*arguments)
    if asyncio.iscoroutine(result):
        result.close()
    assert result is None, f"{name} returned {result!r}; it must be a plain function that returns None"
    assert elapsed_s(since) < NO_WAIT_S, (
        f"{name} took {elapsed_s(since):.2f} s; what takes time belongs in run()"
    )


async def _check_life(
    kind: type[Plugin], base: type[Plugin], given: Context, options: dict[str, Any]
) -> None:
    """Check what all plugins have in common: options, constructor, `async with`."""
    assert issubclass(kind, base), f"{kind.__name__} must derive from edgevoice.{base.__name__}"
    given.ready.set()
    required = [field.name for field in msgspec.structs.fields(kind.options) if field.required]
    # An output's section has a speaker's name, so that it may ask for more.
    assert base is Output or not required, f"options without a default: {', '.join(required)}"
    missing = kind.missing_dependency()
    assert missing is None, f"a dependency is missing here: {missing}"
    before = _running()
    plugin = make(kind, given, **options)
    assert hasattr(plugin, "config"), "a constructor must call super().__init__(context, options)"
    for pairs in (kind.validate_options(plugin.config), kind.option_warnings(plugin.config)):
        assert isinstance(pairs, list), "issues and warnings are lists of pairs"
    assert _running() == before, f"the constructor started something: {_running() - before}"
    for attempt in ("first", "second"):
        async with _entered(kind, given, options) as entered:
            why = entered.stall_reason()
            assert why is None, f"stalled just after it was entered: {why}"
        left = await _left_behind(before)
        assert not left, f"still running after the {attempt} `async with`: {left}"


@asynccontextmanager
async def _entered(kind: type[P], given: Context, options: dict[str, Any]) -> AsyncIterator[P]:
    plugin = make(kind, given, **options)
    async with plugin as entered:
        assert entered is plugin, "__aenter__() must return self"
        yield plugin


async def _cancelled(task: asyncio.Task[None], name: str) -> None:
    """Cancel a task and check that it ends soon, with nothing but the cancellation."""
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=CANCEL_S)
    assert done, f"{name} did not end within {CANCEL_S:g} s after it was cancelled"
    error = None if task.cancelled() else task.exception()
    assert error is None, f"{name} raised {error!r} when it was cancelled"


def _running() -> set[object]:
    """Return the tasks of this loop and the threads of this process, without the loop's own workers."""
    threads = {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}
    return {*(task for task in asyncio.all_tasks() if not task.done()), *threads}


async def _left_behind(before: set[object]) -> set[object]:
    """Return what still runs a moment later."""
    left = _running() - before
    for _ in range(20):
        if not left:
            break
        await asyncio.sleep(0.05)
        left = _running() - before
    return left
