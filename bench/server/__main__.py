"""The simulated server as a process: `python -m bench.server PORT LOG [--tls PORT CERT KEY] [--relay PORT TARGET MS]`."""

from __future__ import annotations

import argparse
import asyncio
import ssl
from pathlib import Path

from aiohttp import web

from bench.server.app import LightningServer
from bench.server.knobs import Knobs
from bench.server.record import Log
from bench.server.relay import Relay


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A simulated Lightning server on the loopback.")
    parser.add_argument("port", type=int)
    parser.add_argument("log", type=Path)
    parser.add_argument("--idle", type=float, default=Knobs().idle_s, help="seconds, of connections too")
    parser.add_argument("--tls", nargs=3, metavar=("PORT", "CERT", "KEY"))
    parser.add_argument("--relay", nargs=3, action="append", default=[], metavar=("PORT", "TARGET", "RTT_MS"))
    return parser.parse_args()


async def serve(given: argparse.Namespace) -> None:
    server = LightningServer(Knobs(idle_s=given.idle), Log(given.log))
    runner = web.AppRunner(
        server.app,
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=given.idle,
        shutdown_timeout=0.2,
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", given.port).start()
    if given.tls:
        port, certificate, key = given.tls
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        await web.TCPSite(runner, "127.0.0.1", int(port), ssl_context=context).start()
    relays = [await Relay(int(to), float(rtt)).listen(int(port)) for port, to, rtt in given.relay]
    print("READY", flush=True)
    await asyncio.Event().wait()
    del relays


if __name__ == "__main__":
    asyncio.run(serve(arguments()))
