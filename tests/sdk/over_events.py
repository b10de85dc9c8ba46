"""The vendor's client against the local server, over server-sent events: `over_events.py URL KEY`.

Its own iterator gives only events that are JSON strings, and the vendor documents objects (5.14.0), so
the reply is read through the client's raw response and its own reader of events.
"""

import base64
import json

from judgement import LONG, SHORT, api_key, assert_speech, environment, refused, run
from smallestai import SmallestAI
from smallestai.core.http_sse import EventSource
from smallestai.waves.errors import BadRequestError

client = SmallestAI(api_key=api_key(), environment=environment(), max_retries=0)


def events(**keys):
    asked = {"text": LONG, "voice_id": "sophia", "sample_rate": 24000} | keys
    with client.waves.with_raw_response.synthesize_sse_tts(**asked) as raw:
        for event in EventSource(raw._response).iter_sse():
            yield event.event, json.loads(event.data)


def streamed():
    *chunks, (_, last) = events()
    assert last == {"status": "200", "done": True}
    assert len(chunks) > 50
    assert {(name, data["status"], data["done"]) for name, data in chunks} == {("audio", "206", False)}
    assert_speech(b"".join(base64.b64decode(data["audio"]) for _, data in chunks), 24000, LONG)


def hung_up():
    for _ in range(3):
        assert next(events())[1]["audio"]
    *chunks, _ = events(text=SHORT)
    assert_speech(b"".join(base64.b64decode(data["audio"]) for _, data in chunks), 24000, SHORT)


def own_iterator():
    for _ in client.waves.synthesize_sse_tts(text=SHORT, voice_id="magnus"):
        pass


def blank_text():
    error = refused(BadRequestError, lambda: list(events(text=" ")))
    assert "text" in error.body["message"]


run(streamed, hung_up, own_iterator, blank_text)
