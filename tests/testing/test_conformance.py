"""The conformance suites find each way of breaking a rule."""

import asyncio
import threading

import msgspec
import pytest

from edgevoice import AccountRefused, Observer, Output, Role, Say, Source
from edgevoice.testing import (
    ToneTransport,
    check_observer,
    check_output,
    check_source,
    check_transport,
    tone,
)


class Card(Output):
    """Plays as fast as it gets the audio."""

    async def play(self, audio, rate, progress):
        frames = 0
        async for pcm in audio:
            frames += len(pcm) // 2
            progress.written(frames)
            progress.played(frames)


class Bell(Source):
    async def listen(self, submit):
        submit(Say(target="kitchen", payload=b"ding"))
        await asyncio.Event().wait()


class Voice(ToneTransport):
    role = Role.PRIMARY
    accepts_text_stream = True

    @classmethod
    def voice_identity(cls, options, request):
        return f"{request.voice} {request.language} {request.speed}"

    async def synthesize(self, request):
        text = request.text
        if text is None:
            text = "".join([piece async for piece in request.text_stream])
        for _ in text.split():
            yield tone(0.05, request.sample_rate)


async def test_correct_plugins_conform(tmp_path):
    await check_source(Bell, tmp_path)
    await check_transport(Voice, tmp_path)
    await check_transport(ToneTransport, tmp_path)
    await check_output(Card, tmp_path)
    await check_observer(Observer, tmp_path)


async def told(check, kind, folder):
    with pytest.raises(AssertionError) as caught:
        await check(kind, folder)
    return str(caught.value)


# ---- what all have in common ----


class Options(msgspec.Struct):
    host: str


class Needs(Bell):
    options = Options


class Forgetful(Bell):
    def __init__(self, context, options):
        self.mine = options


class Eager(Bell):
    def __init__(self, context, options):
        super().__init__(context, options)
        self.task = asyncio.create_task(asyncio.sleep(60))


class Leaky(Bell):
    async def __aenter__(self):
        self.task = asyncio.create_task(asyncio.sleep(60))
        return self


class Threaded(Bell):
    async def __aenter__(self):
        self.thread = threading.Thread(target=threading.Event().wait, args=(3,), daemon=True)
        self.thread.start()
        return self


class Uninstalled(Bell):
    @classmethod
    def missing_dependency(cls):
        return "needs a bell: pip install bell"


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (Needs, "without a default: host"),
        (Forgetful, "super().__init__"),
        (Eager, "the constructor started"),
        (Leaky, "still running"),
        (Threaded, "still running"),
        (Uninstalled, "pip install bell"),
    ],
)
async def test_broken_life_is_found(kind, rule, tmp_path):
    assert rule in await told(check_source, kind, tmp_path)


# ---- sources ----


class Returns(Bell):
    async def listen(self, submit):
        return


class Stubborn(Bell):
    async def listen(self, submit):
        while True:
            try:
                await asyncio.sleep(4)
            except asyncio.CancelledError:
                await asyncio.sleep(3)
                raise


class Talkative(Bell):
    async def listen(self, submit):
        submit("ding")
        await asyncio.Event().wait()


class Elsewhere(Bell):
    async def listen(self, submit):
        await asyncio.to_thread(submit, Say(target="kitchen", payload=b"ding"))
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (Returns, "listen() returned"),
        (Stubborn, "did not end within"),
        (Talkative, "not a Command"),
        (Elsewhere, "thread"),
    ],
)
async def test_broken_source_is_found(kind, rule, tmp_path):
    assert rule in await told(check_source, kind, tmp_path)


# ---- transports ----


def speaks(**changed):
    """Return a kind of voice that differs from `Voice` in these."""
    return type("Changed", (Voice,), changed)


async def odd(self, request):
    yield b"\0\0\0"


async def empty(self, request):
    yield b""


async def silent(self, request):
    for _ in ():
        yield b"\0\0"


async def one_rate(self, request):
    yield tone(0.3, 24000)


async def clings(self, request):
    try:
        for _ in range(100):
            yield tone(0.05, request.sample_rate)
    finally:
        await asyncio.sleep(3)


async def raises(self, request):
    if request.text == "...":
        raise ValueError("no words")
    yield tone(0.3, request.sample_rate)


async def refuses(self, request):
    raise AccountRefused("no credits")
    yield b""


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"synthesize": odd}, "middle of a sample"),
        ({"synthesize": empty}, "empty"),
        ({"synthesize": silent}, "without audio"),
        ({"synthesize": one_rate}, "sample rate"),
        ({"synthesize": clings}, "takes too long"),
        ({"role": "fallback"}, "Role"),
        ({"account": ""}, "account"),
        ({"voice_identity": classmethod(lambda *_: "always")}, "must depend on voice"),
        ({"voice_identity": classmethod(lambda *_: object())}, "None or a text"),
        ({"unavailable_reason": classmethod(lambda *_: "there is no key")}, "there is no key"),
        ({"is_warm": "yes"}, "is_warm"),
    ],
)
async def test_broken_transport_is_found(changed, rule, tmp_path):
    assert rule in await told(check_transport, speaks(**changed), tmp_path)


@pytest.mark.parametrize(("method", "error"), [(raises, ValueError), (refuses, AccountRefused)])
async def test_error_of_a_transport_comes_through(method, error, tmp_path):
    with pytest.raises(error):
        await check_transport(speaks(synthesize=method), tmp_path)


# ---- outputs ----


def plays(**changed):
    return type("Changed", (Card,), changed)


async def deaf(self, audio, rate, progress):
    async for _ in audio:
        pass


async def hasty(self, audio, rate, progress):
    async for pcm in audio:
        progress.written(len(pcm))
        break


async def clairvoyant(self, audio, rate, progress):
    async for pcm in audio:
        progress.written(len(pcm))


async def backwards(self, audio, rate, progress):
    async for pcm in audio:
        progress.written(len(pcm) // 2)
        progress.written(0)


async def premature(self, audio, rate, progress):
    async for pcm in audio:
        progress.played(len(pcm) // 2)


async def swallows(self, audio, rate, progress):
    try:
        await Card.play(self, audio, rate, progress)
    except Exception:  # noqa: BLE001 - that is what is wrong with it
        return


async def endless(self, audio, rate, progress):
    try:
        await Card.play(self, audio, rate, progress)
    except asyncio.CancelledError:
        await asyncio.sleep(3)
        raise


@pytest.mark.parametrize(
    ("method", "rule"),
    [
        (deaf, "written() told 0"),
        (hasty, "frames written of"),
        (clairvoyant, "frames written of"),
        (backwards, "fell from"),
        (premature, "played of"),
        (swallows, "did not come out"),
        (endless, "did not end within"),
    ],
)
async def test_broken_output_is_found(method, rule, tmp_path):
    assert rule in await told(check_output, plays(play=method), tmp_path)


# ---- observers ----


class Waits(Observer):
    def on_state(self, speaker, state):
        threading.Event().wait(0.4)


class Async(Observer):
    async def on_event(self, event, origin):
        pass


class Dies(Observer):
    async def run(self):
        raise OSError("no disk")


@pytest.mark.parametrize(("kind", "rule"), [(Waits, "belongs in run()"), (Async, "plain function")])
async def test_broken_observer_is_found(kind, rule, tmp_path):
    assert rule in await told(check_observer, kind, tmp_path)


async def test_error_of_an_observer_comes_through(tmp_path):
    with pytest.raises(OSError, match="no disk"):
        await check_observer(Dies, tmp_path)
