"""The commands: output, exit status, never a traceback or a secret."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edgevoice import cli
from edgevoice.cli import edgevoice
from tests.support.dropin import NEEDY, TIN_CAN, dropin
from tests.support.stores import Rig, outcome

EDGEVOICE = Path(sys.executable).parent / "edgevoice"
SECRET = "sk_0123456789abcdef_secret"


@pytest.fixture(autouse=True)
def no_daemon(tmp_path, monkeypatch):
    """Ask no daemon that runs on this machine."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("SMALLEST_API_KEY", "sk_of_nobody")


@pytest.fixture
def house(tmp_path):
    """A configuration that needs nothing of this machine."""
    folder = dropin(tmp_path / "plugins", tin_can=TIN_CAN)
    file = tmp_path / "edgevoice.yaml"
    file.write_text(
        f"plugins_dir: {folder}\n"
        "speakers:\n"
        "  kitchen: {output: tin_can, string: s, groups: [downstairs]}\n"
        "  bath: {output: tin_can, string: s}\n"
    )
    return file


def run(*arguments, **environment):
    result = CliRunner(env=environment).invoke(edgevoice, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert SECRET not in result.output
    return result


def commands():
    return edgevoice.list_commands(click.Context(edgevoice))


def test_commands_of_core_and_plugins():
    assert {"run", "check", "explain", "history", "plugins", "schema"} <= set(commands())
    assert {"demo", "say", "devices", "voices", "lightning-server"} <= set(commands())


@pytest.mark.parametrize("command", [[], *([name] for name in commands())], ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_every_command(command, flag):
    result = run(*command, flag)
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    assert len(result.stdout.splitlines()) > 4


def test_version():
    assert run("--version").stdout.startswith("edgevoice, version ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["check", "--colour"],
        ["explain"],
        ["explain", "a", "--urgency", "loud"],
        ["check", "extra"],
        ["run", "--config"],
    ],
)
def test_usage_error_is_exit_status_2(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert not result.stdout


# ---- check -------------------------------------------------------------------------------------------


def test_check_valid(house):
    result = run("check", "--config", house)
    assert result.exit_code == 0
    assert result.stdout == f"{house}: no mistakes\n"
    assert run("check", EDGEVOICE_CONFIG=str(house)).exit_code == 0


def test_check_lists_every_mistake(house):
    house.write_text(
        house.read_text() + f"lightning: {{api_key: {SECRET}, model: lightning-v2, speed: 9}}\nnod: a\n"
    )
    result = run("check", "--config", house)
    assert result.exit_code == 2
    assert not result.stdout
    for line in (
        "line 5: lightning.api_key: unknown key",
        "line 5: lightning.model",
        "line 5: lightning.speed",
        "line 6: nod",
    ):
        assert f"{house}: {line}" in result.stderr


@pytest.mark.parametrize(
    "text", ["a: [", "- a", "a: 1\na: 1", "a: !!int b", "\0", f"lightning: {{api_key_file: {SECRET}}}"]
)
@pytest.mark.parametrize("command", [["check"], ["explain", "a"]])
def test_invalid_configuration_is_exit_status_2(house, text, command):
    house.write_text(text)
    assert run(*command, "--config", house).exit_code == 2


def test_check_notes_broken_plugin(house):
    dropin(house.parent / "plugins", fax="raise RuntimeError('[/no] paper')")
    result = run("check", "--config", house)
    assert result.exit_code == 0
    assert "note: plugin fax" in result.stdout
    assert "RuntimeError: [/no] paper" in result.stdout


# ---- explain -----------------------------------------------------------------------------------------

LONG = "a" * 141


@pytest.mark.parametrize(
    ("text", "options", "first", "why"),
    [
        ("Hello", [], "http", "up to 140 characters"),
        (LONG, [], "http_stream", "longer than 140 characters"),
        ("Hello", ["--urgency", "high"], "websocket", "urgency is high"),
        (LONG, ["--urgency", "critical"], "websocket", "urgency is critical"),
        ('{"text": "Hello", "urgency": "high"}', [], "websocket", "urgency is high"),
        ('{"text": "Hello", "urgency": "high"}', ["--urgency", "low"], "http", "up to 140 characters"),
        (
            '{"text": "Hello", "transport": "http_stream"}',
            [],
            "http_stream",
            "the announcement asks for http_stream",
        ),
        ('{"text": "Hello", "private": true}', [], "local", "private: the text never leaves the house"),
    ],
)
def test_explain_route(house, text, options, first, why):
    result = run("explain", text, "--json", "--config", house, *options)
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    if first != "local":
        assert answer["transports"][0] == first
    assert answer["why"].startswith(why)
    assert [one["speaker"] for one in answer["speakers"]] == ["kitchen", "bath"]
    assert why in run("explain", text, "--config", house, *options).stdout


def test_explain_speakers(house):
    house.write_text(house.read_text() + 'quiet_hours: [{from: "00:00", to: "24:00"}]\n')
    told = run("explain", "a", "--urgency", "high", "--config", house).stdout
    assert re.search("^kitchen .*volume 30.*chime attention", told, re.MULTILINE)
    assert "600 s" in told
    told = run("explain", "a", "--config", house).stdout
    assert re.search("^bath .*quiet hours.*volume 30.*without a chime", told, re.MULTILINE)
    assert "configuration alone" in told


def test_explain_configured_routes(house):
    house.write_text(house.read_text() + "routes: [{when: {up_to: 5}, use: [websocket]}, {use: [http]}]\n")
    for text, first in (("Hello", "websocket"), ("Hello!", "http")):
        assert json.loads(run("explain", text, "--json", "--config", house).stdout)["transports"] == [first]


def test_explain_target(house):
    told = run("explain", "a", "--to", "downstairs", "--json", "--config", house).stdout
    assert [one["speaker"] for one in json.loads(told)["speakers"]] == ["kitchen"]
    result = run("explain", "a", "--to", "attic", "--config", house)
    assert result.exit_code == 2
    assert "'attic'" in result.stderr
    assert "all, kitchen, downstairs, bath" in result.stderr


def test_explain_warnings(house):
    result = run("explain", '{"text": "a", "volume": 900}', "--urgency", "critical", "--config", house)
    assert result.exit_code == 0
    assert "warning     volume: " in result.stdout


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "{", "a\x07", "x" * 8001, os.fsdecode(b"\xff")),
        *('{"text": "a", "colour": 1}', '{"text": "a", "transport": "htp"}'),
    ],
)
def test_explain_invalid_announcement(house, text):
    result = run("explain", text, "--config", house)
    assert result.exit_code == 1
    assert result.stderr.strip()
    assert not result.stdout


# ---- history -----------------------------------------------------------------------------------------


def test_history_of_a_daemon_that_never_ran(house, tmp_path):
    result = run("history", "--config", house)
    assert result.exit_code == 1
    assert str(tmp_path / "edgevoice.db") in result.stderr
    assert "`edgevoice run`" in result.stderr
    assert run("history", "--last", "501", "--config", house).exit_code == 2


@pytest.fixture
def told(house, tmp_path):
    """Fill the database as a daemon does, and return a function that runs `history`."""
    rig = Rig(tmp_path)
    rig.clocks.wall = time.time() - 7200

    async def fill():
        async with rig.enter() as store:
            store.record(outcome("a1"), text="Dinner is ready.")
            await store.flush()
            rig.clocks.advance(7000)
            store.record(outcome("b2", "study", "failed", reason="restart"), text="DINNER is cold. [/no]")
            store.record(outcome("c3", "study"))

    asyncio.run(fill())

    def ids(*arguments):
        result = run("history", "--json", "--config", house, *arguments)
        assert result.exit_code == 0, result.stderr
        return [one["id"] for one in json.loads(result.stdout)]

    return ids


def test_history_is_filtered(told):
    assert told() == ["a1", "b2", "c3"]
    assert told("--last", "2") == ["b2", "c3"]
    assert told("--speaker", "study") == ["b2", "c3"]
    assert told("--outcome", "failed") == ["b2"]
    assert told("--since", "10m") == ["b2", "c3"]
    assert told("--since", datetime.now().astimezone().isoformat()) == []
    assert told("--text", "dinner") == ["a1", "b2"]
    assert told("--text", "dinner", "--speaker", "kitchen") == ["a1"]


def test_history_is_a_table(told, house):
    result = run("history", "--config", house, COLUMNS="300")
    assert result.exit_code == 0
    assert "failed (restart)" in result.stdout
    assert "Dinner is ready." in result.stdout
    assert "[/no]" in result.stdout


@pytest.mark.parametrize("arguments", [("--outcome", "spoken"), ("--since", "yesterday"), ("--last", "0")])
def test_history_refuses_wrong_filters(told, house, arguments):
    assert run("history", "--config", house, *arguments).exit_code == 2


def test_history_of_a_damaged_database_says_so(house, tmp_path):
    (tmp_path / "edgevoice.db").write_bytes(b"no database" * 100)
    result = run("history", "--config", house)
    assert result.exit_code == 1
    assert "edgevoice.db" in result.stderr


@pytest.mark.parametrize("command", ["history", "cache", "explain"])
def test_invalid_configuration_still_names_state_dir(house, tmp_path, command, monkeypatch):
    asked = []
    monkeypatch.setattr(
        f"edgevoice.cli.{command}.{'read_history' if command == 'history' else 'query'}",
        lambda path, **_: asked.append(path),
    )
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "edgevoice.db").touch()
    house.write_text(f"state_dir: {tmp_path}/elsewhere\nnod: a\nlightning: {{speed: 9}}\nspeakers: 5\n")
    CliRunner().invoke(edgevoice, [command, *["a"][: command == "explain"], "--config", str(house)])
    assert asked[0].is_relative_to(tmp_path / "elsewhere")


# ---- plugins and schema ------------------------------------------------------------------------------


def test_plugins_with_problems(house):
    dropin(house.parent / "plugins", fax="raise RuntimeError('[/no] [red]paper')", needy=NEEDY)
    result = run("plugins", "--json", "--config", house)
    assert result.exit_code == 0
    records = {record["name"]: record for record in json.loads(result.stdout)}
    assert records["tin_can"]["status"] == "ready"
    assert records["tin_can"]["provides"] == ["output tin_can"]
    assert (records["fax"]["status"], records["fax"]["problem"]) == (
        "broken",
        "RuntimeError: [/no] [red]paper",
    )
    assert (records["needy"]["status"], records["needy"]["problem"]) == (
        "incomplete",
        "needs a thing: pip install thing",
    )
    assert records["http"]["origin"] == "edgevoice"
    table = run("plugins", "--config", house, COLUMNS="300")
    assert table.exit_code == 0
    assert "[/no] [red]paper" in table.stdout


def test_plugins_with_invalid_configuration(house):
    house.write_text("a: [")
    result = run("plugins", "--json", "--config", house)
    assert result.exit_code == 0
    assert "has mistakes" in result.stderr
    assert "http" in [record["name"] for record in json.loads(result.stdout)]


def test_schema():
    schema = json.loads(run("schema").stdout)
    assert schema["$defs"]["Payload"]["required"] == ["text"]


# ---- commands of plugins -----------------------------------------------------------------------------


def test_broken_plugin_command(tmp_path, monkeypatch):
    info = tmp_path / "zz-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zz\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[edgevoice.commands]\nzz-gone = zz_gone:command\nzz-object = os:sep\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("zz-gone", "zz-object"):
        result = run(name, "anything", "--at", "all")
        assert result.exit_code == 1
        assert f"'{name}'" in result.stderr
        assert "Broken: " in run(name, "--help").stdout
    assert "zz-gone" in run("--help").stdout
    assert run("schema").exit_code == 0


def test_command_of_wrong_type():
    with pytest.raises(TypeError):
        cli._command(5)


def test_exit_status_of_process(house):
    (house.parent / "key.yaml").write_text(f"lightning: {{api_key_file: {SECRET}, speed: 9}}")
    for arguments, status in (
        (["schema"], 0),
        (["explain", "{"], 1),
        (["check", "--config", "/nothing"], 2),
        (["run", "--config", house.parent / "key.yaml"], 2),
        (["fly"], 2),
    ):
        done = subprocess.run(
            [EDGEVOICE, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "EDGEVOICE_CONFIG": str(house)},
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        assert SECRET not in done.stderr
        assert bool(done.stdout) is (status == 0)
