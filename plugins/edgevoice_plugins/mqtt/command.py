"""`edgevoice say`: publishes one announcement to the broker of the configuration."""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from edgevoice.announcement import Urgency
from edgevoice.config import load
from edgevoice.errors import ConfigError, ConfigIssue, InvalidAnnouncement
from edgevoice.intake.payload import check_text
from edgevoice_plugins.mqtt.answers import line
from edgevoice_plugins.mqtt.options import broker_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice_plugins.mqtt.options import Broker, Mqtt
    from edgevoice_plugins.mqtt.say import Announcing

LIVE = "-"
_MOST = 4096
"""Bytes read from standard input at once."""


@click.command()
@click.argument("text")
@click.option("--to", "target", default="all", show_default=True, help="A speaker, a group, or all.")
@click.option("--urgency", type=click.Choice([str(step) for step in Urgency]), help="Normal if not given.")
@click.option("--wait", is_flag=True, help="Show what becomes of it, and wait for its end.")
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="With --wait: seconds until giving up.",
)
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one in a line.")
@click.option("--config", metavar="FILE", help="The configuration that names the broker.")
def say(  # noqa: PLR0913 - one for each option
    *,
    text: str,
    target: str,
    urgency: str | None,
    wait: bool,
    timeout: float,
    as_json: bool,
    config: str | None,
) -> None:
    """Publish TEXT as one announcement; "-" reads live text from standard input until its end.

    With --wait, the exit status is 0 if each speaker that answered finished or held it, else 1.
    """
    _check(text, target)
    options: Mqtt = load(config).section("mqtt")
    broker = broker_of(options)
    if broker is None:
        raise ConfigError([ConfigIssue("mqtt.host", "say where the broker is: mqtt: {host: 192.168.1.10}")])
    from edgevoice_plugins.mqtt.say import Announcing  # noqa: PLC0415 - brings paho

    announcing = Announcing(
        base=options.base_topic, target=target, text=None if text == LIVE else text, urgency=urgency
    )
    if not asyncio.run(_say(broker, announcing, follow=timeout if wait else None, as_json=as_json)):
        raise SystemExit(1)


def _check(text: str, target: str) -> None:
    try:
        check_text(text)  # a daemon's refusal of it would name no id, and so never be shown
    except InvalidAnnouncement as refusal:
        raise click.UsageError(f"TEXT cannot be said: {refusal}") from None
    if not target or any(sign in target for sign in "/+#\x00"):
        raise click.UsageError(f"--to {target!r} is no name of a speaker or group")


async def _say(broker: Broker, announcing: Announcing, *, follow: float | None, as_json: bool) -> bool:
    from edgevoice_plugins.mqtt.say import Sayer  # noqa: PLC0415 - brings paho

    def show(event: dict[str, Any]) -> None:
        click.echo(json.dumps(event) if as_json else line(event))

    return await Sayer(broker, announcing, show).say(_standard_input(), follow=follow)


async def _standard_input() -> AsyncIterator[str]:
    """Text from standard input as it comes, until its end."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        while piece := os.read(sys.stdin.fileno(), _MOST):
            loop.call_soon_threadsafe(pieces.put_nowait, piece)
        loop.call_soon_threadsafe(pieces.put_nowait, b"")

    # A daemon thread, because nothing can wake a thread that waits for a terminal.
    threading.Thread(target=read, name="standard-input", daemon=True).start()
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while piece := await pieces.get():
        if text := decoder.decode(piece):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text
