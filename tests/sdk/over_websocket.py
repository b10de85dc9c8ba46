"""The vendor's client against the local server, over WebSocket: `over_websocket.py URL KEY`."""

import asyncio
import base64
from socket import SHUT_RDWR

from judgement import LONG, PIECES, SHORT, api_key, assert_speech, environment, run
from smallestai import AsyncSmallestAI, SmallestAI
from smallestai.waves import TTSConfig, WavesStreamingTTS
from smallestai.waves.tts.types import TtsRequestMessage

client = SmallestAI(api_key=api_key(), environment=environment())
RATE = 24000


def message(text, **keys):
    return TtsRequestMessage(text=text, voice_id="magnus", sample_rate=RATE, **keys)


def heard(socket, completes=1):
    """Return the speech up to this many completes, all on one session."""
    pcm, sessions, requests = b"", set(), set()
    while completes:
        frame = socket.recv()
        assert frame.status in ("chunk", "complete"), frame
        sessions.add(frame.session_id)
        requests.add(frame.request_id)
        if frame.status == "chunk":
            pcm += base64.b64decode(frame.data.audio)
        else:
            completes -= 1
    assert len(sessions) == 1
    return pcm, requests


def whole_texts_in_a_row():
    with client.waves.tts.connect() as socket:
        for text in (LONG, SHORT):
            socket.synthesize_streaming_tts(message(text, request_id="r1"))
        socket.synthesize_streaming_tts(message(LONG))
        pcm, requests = heard(socket, 3)
        assert len(requests) == 3
        assert_speech(pcm, RATE, LONG + SHORT + LONG)


def pieces_until_a_flush():
    with client.waves.tts.connect() as socket:
        for piece in PIECES:
            socket.synthesize_streaming_tts(message(piece, **{"continue": True, "flush": False}))
        socket.synthesize_streaming_tts(message("", **{"continue": False, "flush": True}))
        assert_speech(heard(socket)[0], RATE, "".join(PIECES))


def sentences_of_a_context():
    with client.waves.tts.connect() as socket:
        for piece in PIECES:
            socket.synthesize_streaming_tts(message(piece, **{"context_id": "c1", "continue": True}))
        socket.synthesize_streaming_tts(message("", **{"context_id": "c1", "continue": False}))
        pcm, requests = heard(socket, 2)
        assert len(requests) == 2
        assert_speech(pcm, RATE, "".join(PIECES))


def dropped_in_mid_speech():
    for _ in range(3):
        with client.waves.tts.connect() as socket:
            socket.synthesize_streaming_tts(message(LONG))
            assert socket.recv().status == "chunk"
            # Cut, since this client only agrees to a close once it has taken all that was sent.
            socket._websocket.socket.shutdown(SHUT_RDWR)
    with client.waves.tts.connect() as socket:
        socket.synthesize_streaming_tts(message(SHORT))
        assert_speech(heard(socket)[0], RATE, SHORT)


def the_older_class():
    speaker = WavesStreamingTTS(TTSConfig(voice_id="sophia", api_key=api_key(), sample_rate=RATE))
    speaker.ws_url = f"{environment().waves_ws}/waves/v1/tts/live"
    assert_speech(b"".join(speaker.synthesize(LONG)), RATE, LONG)
    assert_speech(b"".join(speaker.synthesize_streaming(iter(PIECES))), RATE, "".join(PIECES))


def asynchronous():
    async def all_of_them():
        several = AsyncSmallestAI(api_key=api_key(), environment=environment())

        async def one(text):
            pcm = b""
            async with several.waves.tts.connect() as socket:
                await socket.synthesize_streaming_tts(message(text))
                async for frame in socket:
                    if frame.status == "complete":
                        break
                    pcm += base64.b64decode(frame.data.audio)
            assert_speech(pcm, RATE, text)

        await asyncio.gather(one(SHORT), one(LONG), one(SHORT))

    asyncio.run(all_of_them())


def wrong_key():
    other = SmallestAI(api_key="sk_wrong", environment=environment())
    try:
        with other.waves.tts.connect():
            pass
    except Exception as error:  # noqa: BLE001 - which one depends on the version of websockets
        status = getattr(error, "status_code", None) or error.response.status_code
        assert status == 401
    else:
        raise AssertionError("a wrong key was served")


run(
    *(whole_texts_in_a_row, pieces_until_a_flush, sentences_of_a_context, dropped_in_mid_speech),
    *(the_older_class, asynchronous, wrong_key),
)
