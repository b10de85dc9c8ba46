"""Text that is still arriving: any number of readers read all of it, verbatim, at their own speed."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.text.live import LiveText
from tests.support.examples import examples

LONG = 60.0


async def read(live, start=0, idle=LONG):
    return [piece async for piece in live.chunks(start, idle)]


async def test_late_reader_gets_everything():
    live = LiveText()
    early = asyncio.create_task(read(live))
    await asyncio.sleep(0)
    live.add("one ")
    await asyncio.sleep(0)
    live.add("two")
    late = asyncio.create_task(read(live))
    live.end()
    assert "".join(await early) == "".join(await late) == "one two"
    assert await read(live, 4) == ["two"]


async def test_cancelled_reader():
    live = LiveText()
    readers = [asyncio.create_task(read(live)) for _ in range(3)]
    await asyncio.sleep(0)
    readers[1].cancel()
    live.add("a")
    await asyncio.sleep(0)
    live.end()
    assert await readers[0] == await readers[2] == ["a"]


async def test_reader_stops_when_idle_and_resumes():
    live = LiveText()
    live.add("one ")
    assert await read(live, idle=0.01) == ["one "]
    live.add("two")
    live.end()
    assert await read(live, 4) == ["two"]


async def test_redelivered_chunk_is_dropped():
    live = LiveText()
    assert live.add("a", 7)
    assert not live.add("a", 7, redelivered=True)
    assert live.add("b", 8, redelivered=True)  # the first delivery of it was lost
    assert live.add("b", 7)  # a number used again
    assert live.add("b", None, redelivered=True)
    assert live.add("a", 7)  # and for the same text
    assert live.text == "abbba"


async def test_ended_text_is_closed():
    live = LiveText()
    live.end()
    assert not live.add("a")
    assert live.text == ""


async def test_wait_past():
    live = LiveText()
    live.add(" \n")
    waiting = asyncio.create_task(live.wait_past(0))
    await asyncio.sleep(0)
    live.add("  ")
    await asyncio.sleep(0)
    assert not waiting.done()
    live.add("a")
    assert await waiting
    live.end()
    assert not await live.wait_past(5)
    assert await live.wait_past(0)


async def test_sentence():
    live = LiveText()
    waiting = asyncio.create_task(live.sentence(0, LONG, 250))
    for piece in ("It is ", "3.", "5 degrees", "."):
        live.add(piece)
        await asyncio.sleep(0)
        assert not waiting.done()
    live.add(" And")
    assert live.text[: await waiting] == "It is 3.5 degrees."


@pytest.mark.parametrize("ends", [True, False])
async def test_sentence_is_whole_at_end_or_when_idle(ends):
    live = LiveText()
    live.add("no mark")
    if ends:
        live.end()
    assert await live.sentence(0, 0.01, 250) == 7


async def test_long_sentence_is_cut():
    live = LiveText()
    live.add("word " * 100)
    end = await live.sentence(0, LONG, 50)
    assert end == 50


@examples(60)
@given(pieces=st.lists(st.text(min_size=1, max_size=40), max_size=20), most=st.integers(20, 60))
def test_sentences_joined_are_the_text(pieces, most):
    async def said():
        live, parts, position = LiveText(), [], 0

        async def arrive():
            for piece in pieces:
                live.add(piece)
                await asyncio.sleep(0)
            live.end()

        arriving = asyncio.create_task(arrive())
        while await live.wait_past(position):
            end = await live.sentence(position, LONG, most)
            assert position < end <= position + most
            parts.append(live.text[position:end])
            position = end
        await arriving
        return "".join(parts) + live.text[position:].strip() if position else "".join(parts)

    assert asyncio.run(said()).strip() == "".join(pieces).strip()
