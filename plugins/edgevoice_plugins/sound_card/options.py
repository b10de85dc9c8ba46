"""The options of the output `sound_card`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys of a speaker with `output: sound_card`."""

    #: Name of the device, or a part of it.
    device: Annotated[str, Meta(min_length=1, max_length=200)] = "default"
    #: Rate of the card in Hz; None for the rate of the speech.
    sample_rate: Annotated[int, Meta(ge=8000, le=192_000)] | None = None
    #: Silence before the first sound; `auto` for the default of the kind of sink.
    lead_in_ms: Annotated[int, Meta(ge=0, le=5000)] | Literal["auto"] = msgspec.field(
        default="auto", name="lead_in"
    )
    #: Seconds without sound after which the lead-in is needed; None for `SUSPEND_AFTER_S`.
    lead_in_after_s: Annotated[float, Meta(ge=0, le=86400)] | None = msgspec.field(
        default=None, name="lead_in_after"
    )
