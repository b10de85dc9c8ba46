"""A Lightning request: built by the transports, read by the local server.

Facts from the vendor's API reference (2026-08); HTTP and SSE take the same body, and each WebSocket
message repeats all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, field

from edgevoice_plugins.lightning.options import MODELS, RETIRED_MODELS, SAMPLE_RATES_HZ

if TYPE_CHECKING:
    from edgevoice import SpeechRequest
    from edgevoice_plugins.lightning.options import LightningOptions

PATH_WHOLE = "/waves/v1/tts"
PATH_LIVE = "/waves/v1/tts/live"
FORMATS = ("pcm", "wav", "mp3", "ulaw", "alaw")

Id = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_\-.]{1,128}$")]


class WireRequest(msgspec.Struct, kw_only=True):
    """A request as it is on the wire. Unknown keys are ignored, as the vendor does."""

    text: str = ""
    voice_id: str = ""
    model: str = MODELS[0]
    sample_rate: int = 44100
    speed: Annotated[float, Meta(ge=0.5, le=2)] = 1.0
    language: str | None = None
    number_pronunciation_language: str | None = None
    output_format: str = "pcm"
    pronunciation_dicts: list[str] | None = None
    word_timestamps: bool = False
    session_id: Id | None = None
    request_id: Id | None = None
    more: bool = field(default=False, name="continue")
    flush: bool = False
    max_buffer_flush_ms: Annotated[int, Meta(ge=0, le=1000)] = 0
    complete_backoff_ms: Annotated[float, Meta(ge=0, le=10000)] = 4000
    context_id: Id | None = None
    max_buffer_delay_ms: Annotated[int, Meta(ge=0, le=5000)] = 3000
    context_close: bool = False
    cancel_request: bool = False


class BadRequestError(ValueError):
    """A request that cannot be served. Its text names the field and what is allowed."""


class RetiredModelError(BadRequestError):
    """A retired model. Its text names the successor."""

    def __init__(self, model: str, successor: str) -> None:
        self.model = model
        self.successor = successor
        super().__init__(f"model {model!r} is retired; use {successor!r}")


def speech_body(
    lightning: LightningOptions, request: SpeechRequest, *, output_format: str | None = None
) -> dict[str, Any]:
    """Return the JSON object of a request; leave out `output_format` for WebSocket, where it has no meaning."""
    body: dict[str, Any] = {
        "text": request.text or "",
        "voice_id": request.voice or lightning.voice,
        "model": lightning.model,
        "sample_rate": request.sample_rate,
        "speed": request.speed,
        "language": request.language,
    }
    if output_format:
        body["output_format"] = output_format
    if lightning.pronunciation_dicts:
        body["pronunciation_dicts"] = list(lightning.pronunciation_dicts)
    return body


def chunk_message(body: dict[str, Any], text: str, *, context_id: str, more: bool) -> dict[str, Any]:
    """Return a WebSocket message with one chunk of a context; `more` False ends the context."""
    return {**body, "text": text, "context_id": context_id, "continue": more}


def read_request(message: object, *, max_chars: int | None = None) -> WireRequest:
    """Read the JSON object of a request, with the vendor's defaults for what is absent.

    Raises:
        BadRequestError: naming the field and what is allowed; `RetiredModelError` for a retired model.
    """
    if not isinstance(message, dict):
        raise BadRequestError("the request must be a JSON object")
    try:
        request = msgspec.convert({k: v for k, v in message.items() if v is not None}, WireRequest)
    except msgspec.ValidationError as error:
        raise BadRequestError(str(error)) from error
    request.model = known_model(request.model)
    if request.sample_rate not in SAMPLE_RATES_HZ:
        raise BadRequestError(
            f"sample_rate {request.sample_rate} is not one of {', '.join(map(str, SAMPLE_RATES_HZ))}"
        )
    if request.output_format not in FORMATS:
        raise BadRequestError(
            f"invalid_enum_value: output_format {request.output_format!r} is not one of {', '.join(FORMATS)}"
        )
    if max_chars is not None and len(request.text) > max_chars:
        raise BadRequestError(f"text has {len(request.text)} characters; at most {max_chars} are allowed")
    return request


def known_model(name: str) -> str:
    """Return the name of a model as bodies spell it, given with hyphens (as in URLs) or underscores.

    Raises:
        BadRequestError: the model is unknown; `RetiredModelError` if it is retired.
    """
    spelt = name.replace("-", "_")
    if spelt in RETIRED_MODELS:
        raise RetiredModelError(name, RETIRED_MODELS[spelt])
    if spelt not in MODELS:
        raise BadRequestError(f"model {name!r} is not one of {', '.join(MODELS)}")
    return spelt
