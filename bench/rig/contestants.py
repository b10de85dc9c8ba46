"""The contestants: EdgeVoice, the references and the installed peers; each is a process that gets its texts over MQTT."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

#: The environment variable with the folder that was given to `bench/peers/install`.
PEERS_FOLDER = "EDGEVOICE_BENCH_PEERS"
TRANSPORTS = ("http", "http_stream", "websocket")
BASE = "ev"


@dataclass(frozen=True)
class Target:
    """The topic of a contestant, and for EdgeVoice the transport; `uses_server` is whether the simulated server speaks."""

    name: str
    contestant: str
    transport: str | None = None
    uses_server: bool = True

    @property
    def topic(self) -> str:
        return f"{BASE}/{self.contestant}/say"

    @property
    def urgent_topic(self) -> str:
        return f"{self.topic}/critical"

    def payload(self, text: str) -> str:
        """Return the payload for a text."""
        if self.transport is None:
            return text
        return msgspec.json.encode({"text": text, "transport": self.transport}).decode()


@dataclass(frozen=True)
class Contestant:
    """A program to measure. `needs` is the folder of its Python environment, `program` a command of the system."""

    name: str
    script: str
    mode: str = ""
    needs: str = ""
    package: str = ""
    program: str = ""
    uses_server: bool = True
    streams: bool = True
    can_interrupt: bool = False
    is_reference: bool = False

    @property
    def target(self) -> Target:
        return Target(self.name, self.name, uses_server=self.uses_server)

    def missing_requirement(self) -> str | None:
        """Return the name of the missing requirement; None if it can start."""
        if self.program and shutil.which(self.program) is None:
            return f"there is no {self.program}"
        if self.needs and not self._python().exists():
            return f"not installed (bench/peers/install FOLDER {self.needs}; then {PEERS_FOLDER}=FOLDER)"
        return None

    def version(self) -> str:
        """Return the version of the measured package; empty for a command of the system."""
        if not self.package:
            return ""
        ask = f"import importlib.metadata as m; print(m.version({self.package!r}))"
        asked = subprocess.run([str(self._python()), "-c", ask], capture_output=True, text=True, check=False)
        return asked.stdout.strip()

    def command(self) -> list[str]:
        return [str(self._python()), "-m", f"bench.peers.{self.script}", *([self.mode] if self.mode else [])]

    def _python(self) -> Path:
        if not self.needs:
            return Path(sys.executable)
        return Path(os.environ.get(PEERS_FOLDER, "/nonexistent")) / self.needs / "bin" / "python"


REF_WS = Contestant("ref_ws", "reference", "websocket", is_reference=True)
REF_SSE = Contestant("ref_sse", "reference", "events", is_reference=True)
REF_COLD = Contestant("ref_cold", "reference", "cold", is_reference=True)
PEERS = (
    Contestant("sdk_http", "sdk", "http", needs="sdk", package="smallestai", streams=False),
    Contestant("sdk_ws", "sdk", "websocket", needs="sdk", package="smallestai"),
    Contestant("livekit", "livekit_plugin", needs="livekit", package="livekit-plugins-smallestai"),
    Contestant("pipecat", "pipecat_pipeline", needs="pipecat", package="pipecat-ai", can_interrupt=True),
    Contestant(
        "realtimetts", "realtimetts_stream", needs="realtimetts", package="realtimetts", can_interrupt=True
    ),
    Contestant("wyoming", "wyoming_server", needs="wyoming", package="wyoming-satellite", program="aplay"),
    Contestant("script_aplay", "script", "aplay", program="aplay", streams=False),
    Contestant("script_paplay", "script", "paplay", program="paplay", streams=False),
    Contestant("speechd", "speechd", program="speech-dispatcher", uses_server=False, can_interrupt=True),
)


def installed() -> tuple[list[Contestant], dict[str, str]]:
    """Return the peers that can be started, and the reason for each that cannot."""
    reasons = {kind.name: kind.missing_requirement() for kind in PEERS}
    left_out = {name: reason for name, reason in reasons.items() if reason is not None}
    return [kind for kind in PEERS if kind.name not in left_out], left_out


def edgevoice_targets(speaker: str = "edgevoice") -> list[Target]:
    """Return a target for each transport of EdgeVoice."""
    return [Target(name, speaker, transport=name) for name in TRANSPORTS]
