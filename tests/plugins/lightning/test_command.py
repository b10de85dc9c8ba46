"""The command `edgevoice voices`, against a real server on loopback, in a process of its own."""

import asyncio
import json
import os
import sys

import pytest

from tests.support.lightning import LightningServer

RUN = "import sys; from edgevoice.cli import Commands, edgevoice; from edgevoice_plugins.lightning.command import voices; Commands.get_command = lambda *_: voices; edgevoice(sys.argv[1:], prog_name='edgevoice')"


@pytest.fixture
async def server():
    async with LightningServer() as server:
        yield server


async def voices(tmp_path, yaml, *args, key=None):
    config = tmp_path / "edgevoice.yaml"
    config.write_text(yaml)
    environment = {
        k: v for k, v in os.environ.items() if k not in ("SMALLEST_API_KEY", "CREDENTIALS_DIRECTORY")
    }
    environment |= {"COLUMNS": "100"} | ({"SMALLEST_API_KEY": key} if key else {})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RUN,
        "voices",
        "--config",
        str(config),
        *args,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_voices_of_model_are_listed(server, tmp_path):
    server.api_key = "sk_test"
    yaml = f"lightning: {{base_url: '{server.url}', model: lightning_v3.1_pro}}"
    status, out, err = await voices(tmp_path, yaml, key="sk_test")
    assert (status, err) == (0, "")
    assert ["devansh", "Devansh", "hindi,", "english"] in [line.split() for line in out.splitlines()]
    assert server.paths == ["/waves/v1/lightning-v3.1-pro/get_voices"]


async def test_voices_as_json(server, tmp_path):
    status, out, _ = await voices(tmp_path, f"lightning: {{base_url: '{server.url}'}}", "--json")
    assert status == 0
    assert json.loads(out)[0] == {"id": "magnus", "name": "Magnus", "languages": ["english"]}


async def test_voices_without_key_are_local(tmp_path):
    status, out, err = await voices(tmp_path, "lightning: {model: lightning_v3.1_pro}", "--json")
    assert (status, err) == (0, "")
    ids = {voice["id"] for voice in json.loads(out)}
    assert "meher" in ids
    assert "magnus" not in ids


async def test_wrong_key_reported_but_not_shown(server, tmp_path):
    server.api_key = "sk_right"
    status, out, err = await voices(tmp_path, f"lightning: {{base_url: '{server.url}'}}", key="sk_wrong")
    assert (status, out) == (1, "")
    assert "401" in err
    assert "lightning.api_key_file" in err
    assert "sk_" not in err


async def test_unreachable_server_is_plain_error(tmp_path):
    status, _, err = await voices(tmp_path, "lightning: {base_url: 'http://127.0.0.1:1'}")
    assert status == 1
    assert err.startswith("cannot reach http://127.0.0.1:1")
    assert "Traceback" not in err


async def test_config_error_is_status_2(tmp_path):
    status, _, err = await voices(tmp_path, "lightning: {modl: x}")
    assert status == 2
    assert "modl" in err
