"""The options of the output `sound_card`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgevoice_plugins.sound_card.lead_in import LONGEST_MS


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`device` is a name or a part of it; `sample_rate` in Hz is the card's, by default the rate of the speech.

    `lead_in` is silence in ms before the first sound, where there was none for `lead_in_after` seconds.
    """

    device: Annotated[str, Meta(min_length=1, max_length=200)] = "default"
    sample_rate: Annotated[int, Meta(ge=8000, le=192000)] | None = None
    lead_in: Annotated[int, Meta(ge=0, le=LONGEST_MS)] | Literal["auto"] = "auto"
    lead_in_after: Annotated[float, Meta(ge=0, le=86400)] | None = None
