"""The contestants: EdgeVoice, the references and the installed peers; each is a process that gets its texts over MQTT."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

#: The variable of the environment that names the folder `bench/peers/install` was given.
PEERS_FOLDER = "EDGEVOICE_BENCH_PEERS"
TRANSPORTS = ("http", "http_stream", "websocket")
BASE = "ev"


@dataclass(frozen=True)
class Voice:
    """A contestant: the topic of its texts, and whether the simulated server speaks them."""

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
        """The text as it is published."""
        if self.transport is None:
            return text
        return msgspec.json.encode({"text": text, "transport": self.transport}).decode()


@dataclass(frozen=True)
class Kind:
    """A program that can be started. `needs` is a folder of its environment, or a program of the system's."""

    name: str
    script: str
    mode: str = ""
    needs: str = ""
    package: str = ""
    program: str = ""
    uses_server: bool = True
    streams: bool = True
    cuts_in: bool = False
    is_reference: bool = False

    @property
    def voice(self) -> Voice:
        return Voice(self.name, self.name, uses_server=self.uses_server)

    def why_not(self) -> str | None:
        """Return the name of the missing requirement; None if it can start."""
        if self.program and shutil.which(self.program) is None:
            return f"there is no {self.program}"
        if self.needs and not self._python().exists():
            return f"not installed (bench/peers/install FOLDER {self.needs}; then {PEERS_FOLDER}=FOLDER)"
        return None

    def version(self) -> str:
        """Return the version of the measured package; empty for a program of the system."""
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


REF_WS = Kind("ref_ws", "reference", "websocket", is_reference=True)
REF_SSE = Kind("ref_sse", "reference", "events", is_reference=True)
REF_COLD = Kind("ref_cold", "reference", "cold", is_reference=True)
PEERS = (
    Kind("sdk_http", "sdk", "http", needs="sdk", package="smallestai", streams=False),
    Kind("sdk_ws", "sdk", "websocket", needs="sdk", package="smallestai"),
    Kind("livekit", "livekit_plugin", needs="livekit", package="livekit-plugins-smallestai"),
    Kind("pipecat", "pipecat_pipeline", needs="pipecat", package="pipecat-ai", cuts_in=True),
    Kind("realtimetts", "realtimetts_stream", needs="realtimetts", package="realtimetts", cuts_in=True),
    Kind("wyoming", "wyoming_server", needs="wyoming", package="wyoming-satellite", program="aplay"),
    Kind("script_aplay", "script", "aplay", program="aplay", streams=False),
    Kind("script_paplay", "script", "paplay", program="paplay", streams=False),
    Kind("speechd", "speechd", program="speech-dispatcher", uses_server=False, cuts_in=True),
)


def installed() -> tuple[list[Kind], dict[str, str]]:
    """The peers that can be started, and why each other cannot."""
    reasons = {kind.name: kind.why_not() for kind in PEERS}
    left_out = {name: reason for name, reason in reasons.items() if reason is not None}
    return [kind for kind in PEERS if kind.name not in left_out], left_out


def edgevoice_voices(speaker: str = "edgevoice") -> list[Voice]:
    """EdgeVoice on each of its transports."""
    return [Voice(name, speaker, transport=name) for name in TRANSPORTS]
