"""`edgevoice run`: the daemon."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import time
from typing import TYPE_CHECKING

import click

from edgevoice import logs
from edgevoice.config import load_settings

if TYPE_CHECKING:
    from edgevoice.config import Settings

logger = logging.getLogger(__name__)


@click.command()
@click.option(
    "--config",
    metavar="FILE",
    help="The configuration file; else $EDGEVOICE_CONFIG, the user's, the system's.",
)
@click.option("--verbose", "-v", is_flag=True, help="Log each step.")
def run(config: str | None, verbose: bool) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    logs.setup("DEBUG" if verbose else "INFO")
    faulthandler.enable()  # the watchdog's SIGABRT leaves the stacks in the log
    settings = load_settings(config)
    if settings.core.timezone is not None:
        os.environ["TZ"] = settings.core.timezone  # the times in the log are of this zone, too
        time.tzset()
    logger.info("configuration: %s", settings.file or "none; everything at its default")
    for warning in settings.warnings:
        logger.warning("%s", warning)
    for record in settings.plugins.records:
        if record.status == "broken":
            logger.error("plugin %s (%s) is not used: %s", record.name, record.origin, record.problem)
    asyncio.run(_run_until_signal(settings))


async def _run_until_signal(settings: Settings) -> None:
    from edgevoice.daemon import run as run_daemon  # noqa: PLC0415 - after the logs are set up

    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():  # the second signal: exit at once
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await run_daemon(settings, stop)
