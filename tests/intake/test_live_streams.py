"""Live texts: chunks joined verbatim, redeliveries dropped, dead senders noticed."""

import asyncio
import json

import pytest

from edgevoice import InvalidAnnouncement, LiveChunk, Urgency
from edgevoice.intake import live_streams
from edgevoice.intake.live_streams import MAX_OPEN, LiveStreams


class Inbox:
    """The streams of a node, and what came of them."""

    def __init__(self):
        self.begun = []
        self.streams = LiveStreams(self._accept, {})

    def _accept(self, command, options, live):
        self.begun.append((command, options.values, options.warnings, live))

    def send(self, payload, id="s1", target="kitchen", **more):  # noqa: A002 - the key's own name
        data = payload if isinstance(payload, bytes) else payload.encode()
        self.streams.append(LiveChunk(target=target, id=id, payload=data, **more))

    @property
    def live(self):
        (_, _, _, live) = self.begun[-1]
        return live


@pytest.fixture
async def inbox():
    inbox = Inbox()
    yield inbox
    inbox.streams.close()


def refusal_of(send, *args, **more):
    with pytest.raises(InvalidAnnouncement) as caught:
        send(*args, **more)
    assert caught.value.allowed
    return caught.value


async def test_chunks_are_joined_verbatim(inbox):
    for piece in ("Hel", "lo ", " world\n", "\t42", '"hi"', "null"):
        inbox.send(piece)
    assert not inbox.live.ended
    inbox.send("")
    assert inbox.live.text == 'Hello  world\n\t42"hi"null'
    assert inbox.live.ended
    assert len(inbox.begun) == 1
    assert inbox.begun[0][1] == {"id": "s1"}


async def test_first_chunk_sets_options(inbox):
    inbox.send('{"urgency": "high", "voice": "v", "tag": "t", "text": "Hello "}')
    inbox.send("world", is_json=True)
    inbox.send('{"text": "!", "end": true, "urgency": "low"}')
    assert inbox.begun[0][1] == {"urgency": Urgency.HIGH, "voice": "v", "tag": "t", "id": "s1"}
    assert inbox.live.text == "Hello world!"
    assert inbox.live.ended


async def test_id_of_topic_wins(inbox):
    inbox.send('{"id": "other", "text": "a"}')
    assert inbox.begun[0][1]["id"] == "s1"


@pytest.mark.parametrize(
    "text", ['{"a": 1}', "{ x + y }", '{"text": "a", "other": 1}', "{", '{"text": "a"} b']
)
async def test_braces_without_options_are_text(inbox, text):
    inbox.send(text)
    assert inbox.live.text == text


async def test_declared_json_must_be_options(inbox):
    for text in (
        '{"a": 1}',
        "{ x + y }",
        '{"text": 5}',
        '{"end": "yes"}',
        '{"text": "a", "ttl": 0}',
        '{"end": NaN}',
    ):
        refusal_of(inbox.send, text, is_json=True)
    assert not inbox.begun


async def test_critical_ignores_faulty_options(inbox):
    inbox.send('{"urgency": "critical", "volume": 900, "text": "Fire"}')
    _, values, (warning,), live = inbox.begun[0]
    assert values == {"urgency": Urgency.CRITICAL, "id": "s1"}
    assert warning.startswith("volume: ")
    assert live.text == "Fire"


async def test_options_are_normalized(inbox):
    inbox.send('{"urgency": "high", "volume": "50", "tag": null, "x-room": 1, "text": "a"}')
    assert inbox.begun[0][1] == {"urgency": Urgency.HIGH, "volume": 50, "id": "s1"}
    assert inbox.begun[0][2] == ()


async def test_control_characters_are_spaces_if_critical(inbox):
    inbox.send('{"urgency": "critical", "text": "a\\u0007"}')
    inbox.send("b\x00c\td")
    assert inbox.live.text == "a b c\td"


async def test_texts_do_not_mix(inbox):
    for letters in zip("one", "two", "333", strict=True):
        inbox.send(letters[0], id="a")
        inbox.send(letters[1], id="b")
        inbox.send(letters[2], id="a", target="bath")
    assert [live.text for _, _, _, live in inbox.begun] == ["one", "two", "333"]
    inbox.send("", id="b")
    assert [live.ended for _, _, _, live in inbox.begun] == [False, True, False]


async def test_redelivered_chunks_are_dropped(inbox):
    inbox.send("a", delivery=1)
    inbox.send("a", delivery=1, redelivered=True)
    inbox.send("b", delivery=2, redelivered=True)
    inbox.send("", delivery=3)
    inbox.send("b", delivery=2, redelivered=True)
    inbox.send("", delivery=3, redelivered=True)
    assert inbox.live.text == "ab"
    assert len(inbox.begun) == 1


async def test_chunk_after_end_is_rejected(inbox):
    inbox.send("a")
    inbox.send("")
    for late in ("b", "", '{"text": "c"}'):
        assert refusal_of(inbox.send, late).key == "id"
    assert inbox.live.text == "a"


async def test_end_of_unknown_text_is_ignored(inbox):
    inbox.send("")
    inbox.send('{"end": true}')
    assert not inbox.begun


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "\ud800"])
async def test_invalid_id_is_rejected(inbox, name):
    assert refusal_of(inbox.send, "a", id=name).key == "id"
    assert not inbox.begun


@pytest.mark.parametrize("payload", [b"\xff", b"a\x00", b"a" * 8001, b"\xed\xa0\x80", '{"text": "\\u0000"}'])
async def test_invalid_chunk_is_rejected_and_text_continues(inbox, payload):
    inbox.send("a")
    assert refusal_of(inbox.send, payload).key == "text"
    inbox.send("b")
    assert inbox.live.text == "ab"


async def test_text_is_bounded(inbox, monkeypatch):
    monkeypatch.setattr(live_streams, "MAX_LIVE_CHARS", 10_000)
    inbox.send("a" * 8000)
    inbox.send("b" * 2000)
    assert refusal_of(inbox.send, "c").key == "text"
    inbox.send("")
    assert len(inbox.live.text) == 10_000


async def test_open_texts_are_bounded(inbox):
    for number in range(MAX_OPEN):
        inbox.send("a", id=str(number))
    assert refusal_of(inbox.send, "a", id="more").key == "id"
    inbox.send("", id="0")
    inbox.send("a", id="more")


async def test_text_of_dead_sender_ends(inbox, monkeypatch):
    monkeypatch.setattr(live_streams, "SENDER_TIMEOUT_S", 0.1)
    inbox.send("Hello")
    live = inbox.live
    while not live.ended:
        await live._changed()
    assert len(live.warnings) == 1
    assert refusal_of(inbox.send, " world").key == "id"


async def test_chunk_restarts_timer(inbox):
    inbox.send("a")
    (stream,) = inbox.streams._open.values()
    first = stream.timer
    await asyncio.sleep(0.01)
    inbox.send("b")
    assert first.cancelled()
    assert stream.timer.when() > first.when()


async def test_ended_ids_are_bounded(inbox, monkeypatch):
    monkeypatch.setattr(live_streams, "MAX_ENDED", 10)
    for number in range(30):
        inbox.send("a", id=str(number))
        inbox.send("", id=str(number))
    assert len(inbox.streams._ended) == 10
    inbox.send("again", id="0")


async def test_close_ends_open_texts(inbox):
    inbox.send("a", id="a")
    inbox.send("b", id="b")
    inbox.streams.close()
    assert all(live.ended for _, _, _, live in inbox.begun)


async def test_rejected_text_is_not_open(inbox):
    def refuse(*_):
        raise InvalidAnnouncement("no", allowed="nothing")

    inbox.streams = LiveStreams(refuse, {})
    refusal_of(inbox.send, json.dumps({"text": "a"}))
    assert not inbox.streams._open
