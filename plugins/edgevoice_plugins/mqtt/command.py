"""`edgevoice say`: publishes one announcement to the configured broker."""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from edgevoice import ConfigError, ConfigIssue, InvalidAnnouncement, Urgency, check_text, load_settings
from edgevoice_plugins.mqtt.options import broker_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice_plugins.mqtt.options import Broker, Mqtt
    from edgevoice_plugins.mqtt.publisher import PublishRequest

#: The TEXT that stands for live text from standard input.
LIVE = "-"
_READ_BYTES = 4096


@click.command()
@click.argument("text")
@click.option("--to", "target", default="all", show_default=True, help="A speaker, a group, or all.")
@click.option("--urgency", type=click.Choice([str(step) for step in Urgency]), help="Normal if not given.")
@click.option("--wait", is_flag=True, help="Show the steps of the announcement, and wait for its end.")
@click.option(
    "--timeout",
    "timeout_s",
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
    timeout_s: float,
    as_json: bool,
    config: str | None,
) -> None:
    """Publish TEXT as one announcement; "-" reads live text from standard input until its end.

    With --wait, the exit status is 0 if each speaker that replied finished or held it, else 1.
    """
    _validate(text, target)
    options: Mqtt = load_settings(config).section("mqtt")
    broker = broker_of(options)
    if broker is None:
        raise ConfigError([ConfigIssue("mqtt.host", "name the broker, as in mqtt: {host: 192.168.1.10}")])
    from edgevoice_plugins.mqtt.publisher import PublishRequest  # noqa: PLC0415 - imports paho

    request = PublishRequest(
        base=options.base_topic, target=target, text=None if text == LIVE else text, urgency=urgency
    )
    if not asyncio.run(_publish(broker, request, follow_s=timeout_s if wait else None, as_json=as_json)):
        raise SystemExit(1)


def _validate(text: str, target: str) -> None:
    try:
        check_text(text)  # the daemon's rejection would name no id, so `--wait` could not show it
    except InvalidAnnouncement as error:
        raise click.UsageError(f"TEXT is invalid: {error}") from None
    if not target or any(sign in target for sign in "/+#\x00"):
        raise click.UsageError(f"--to {target!r} is not the name of a speaker or group")


async def _publish(broker: Broker, request: PublishRequest, *, follow_s: float | None, as_json: bool) -> bool:
    from edgevoice_plugins.mqtt.publisher import Publisher  # noqa: PLC0415 - imports paho

    def show(event: dict[str, Any]) -> None:
        click.echo(json.dumps(event) if as_json else format_event(event))

    return await Publisher(broker, request, show).run(_standard_input(), follow_s=follow_s)


async def _standard_input() -> AsyncIterator[str]:
    """Yield the text of standard input as it arrives, until its end."""
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        while chunk := os.read(sys.stdin.fileno(), _READ_BYTES):
            loop.call_soon_threadsafe(chunks.put_nowait, chunk)
        loop.call_soon_threadsafe(chunks.put_nowait, b"")

    # A daemon thread, because a thread that waits for a terminal cannot be woken up.
    threading.Thread(target=read, name="standard-input", daemon=True).start()
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while chunk := await chunks.get():
        if text := decoder.decode(chunk):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


def format_event(event: dict[str, Any]) -> str:
    """Return an event as a line for the terminal."""
    details = [event.get("reason"), event.get("key"), event.get("allowed"), event.get("transport")]
    if spoken_s := event.get("spoken_s"):
        details.append(f"{spoken_s:g} s spoken")
    name = event.get("speaker") or event.get("node") or "?"
    shown = ", ".join(str(detail) for detail in details if detail is not None)
    return f"{name:<16} {event.get('event_type'):<12} {shown}".rstrip()
