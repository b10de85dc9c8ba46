"""The answer to one request on a line, as speech; asked once more where the line turns out to be dead."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from edgevoice.plugin import WordMark
from edgevoice_plugins.lightning.asked import Asked, OneShot
from edgevoice_plugins.lightning.continuation import Continuation
from edgevoice_plugins.lightning.line import Line, LineLost
from edgevoice_plugins.lightning.protocol.refusal import problem_error
from edgevoice_plugins.lightning.protocol.reply import Chunk, Problem, Reply, Word
from edgevoice_plugins.lightning.samples import Speech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice.plugin import SpeechRequest
    from edgevoice_plugins.lightning.spares import Spares


async def answer(lines: Spares[Line], request: SpeechRequest, body: dict[str, Any]) -> AsyncIterator[bytes]:
    """Yield the speech as it arrives: s16le mono, whole samples. Closed early, the line goes with it.

    Raises:
        TransportError: the speech ends before its end; `AccountRefused` among them.
    """
    speech = Speech(request.sample_rate)
    async with AsyncExitStack() as stack:
        asked = await stack.enter_async_context(_asked(request, body, speech))
        line, kept = await _ask(lines, stack, asked)
        while not asked.over:
            try:
                reply = await _reply(line, asked)
            except LineLost:
                # A line given up while it waited is no answer; only a fresh one can be said to have failed.
                if asked.heard or not kept:
                    raise
                line, kept = await _ask(lines, stack, asked)
                continue
            if isinstance(reply, Word):
                request.marks.append(WordMark(reply.word, reply.start, reply.end))
            elif isinstance(reply, Chunk) and (pcm := speech.feed(reply.pcm)):
                yield pcm
        if asked.reusable:
            line.finish()
    if asked.heard or request.text_stream is None:
        speech.end()


def _asked(request: SpeechRequest, body: dict[str, Any], speech: Speech) -> Asked:
    return OneShot(body) if request.text_stream is None else Continuation(request.text_stream, body, speech)


async def _ask(lines: Spares[Line], stack: AsyncExitStack, asked: Asked) -> tuple[Line, bool]:
    line, kept = await lines.take()
    stack.enter_context(lines.held(line))
    sending = asyncio.create_task(asked.send(line), name="lightning sends")
    stack.push_async_callback(_stop, sending)
    return line, kept


async def _reply(line: Line, asked: Asked) -> Reply | None:
    try:
        reply = await line.reply(asked.patience())
    except TimeoutError:
        asked.fell_silent()
        return None
    if isinstance(reply, Problem):
        raise LineLost(reply.message) if reply.is_idleness else problem_error(reply)
    asked.hears(reply)
    return reply


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
