"""speech-dispatcher with espeak-ng, over one open connection; an urgent message has the priority `important`."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from bench.peers.wire import FOLDER, listen

CONFIGURATION = """
LogLevel 1
LogDir "{folder}"
DefaultLanguage "en"
AudioOutputMethod "pulse"
AddModule "espeak-ng" "sd_espeak-ng" "espeak-ng.conf"
DefaultModule espeak-ng
"""


def dispatcher() -> Path:
    """Start speech-dispatcher; return the path of its socket."""
    folder = Path(FOLDER)
    shutil.copytree("/etc/speech-dispatcher", folder / "conf")
    (folder / "conf" / "speechd.conf").write_text(CONFIGURATION.format(folder=folder))
    path = folder / "socket"
    options = ["-s", "-t", "0", "-C", str(folder / "conf"), "-c", "unix_socket", "-S", str(path)]
    subprocess.Popen(["speech-dispatcher", *options, "-P", str(folder / "pid"), "-L", FOLDER])
    while not path.exists():
        time.sleep(0.01)
    return path


def main() -> None:
    line = socket.socket(socket.AF_UNIX)
    line.connect(str(dispatcher()))
    replies = line.makefile("rb")

    def tell(command: str) -> None:
        line.sendall(command.encode() + b"\r\n")
        while replies.readline()[3:4] == b"-":
            pass

    def say(text: str, priority: str = "message") -> None:
        tell(f"SET SELF PRIORITY {priority}")
        tell("SPEAK")
        tell(text.replace("\n", " ") + "\r\n.")

    tell("SET SELF CLIENT_NAME bench:edgevoice:main")
    listen(say, lambda text: say(text, "important"))


if __name__ == "__main__":
    main()
