"""The vendor's official client, unmodified and in an environment of its own, against the local server."""

import asyncio
import os
from pathlib import Path

import pytest

from edgevoice_plugins.lightning_server.app import serve
from edgevoice_plugins.lightning_server.limits import ServerLimits
from edgevoice_plugins.local_voice.pool import VoicePool

ROOT = Path(__file__).parents[1]


def sdk_python():
    """The interpreter that has the vendor's client."""
    named = os.environ.get("EDGEVOICE_SDK_PYTHON")
    python = Path(named) if named else ROOT / ".venv-sdk/bin/python"
    if not python.exists():
        pytest.fail(
            f"{python} is missing: run scripts/test, which sets it up, or name an interpreter that has "
            "requirements/sdk.txt in EDGEVOICE_SDK_PYTHON",
            pytrace=False,
        )
    return str(python)


@pytest.mark.parametrize("script", ["over_http.py", "over_events.py", "over_websocket.py"])
async def test_the_official_client_is_served(script):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("SMALLEST_", "PYTHON"))
    }
    async with (
        VoicePool() as voice,
        serve(voice, api_key="sk_local", limits=ServerLimits(max_chars=250)) as url,
    ):
        process = await asyncio.create_subprocess_exec(
            *(sdk_python(), "-W", "ignore", str(ROOT / "tests/sdk" / script), url, "sk_local"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment | {"SMALLESTAI_TELEMETRY": "0", "DO_NOT_TRACK": "1"},
        )
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
