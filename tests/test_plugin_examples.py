"""Every plugin in the documentation works unchanged: dropped in, or installed."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
import tomllib
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
import msgspec
import pytest
from aiohttp import web

import edgevoice
from edgevoice import plugin
from edgevoice.plugin_loader import GROUP, Plugins, Status
from tests.support import speech
from tests.support.broker import Broker, free_port
from tests.support.house import House
from tests.support.pages import PLUGINS, README, blocks, modules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SHOWN = modules(README) | modules(PLUGINS)
KINDS = (
    plugin.Plugin,
    plugin.Source,
    plugin.Transport,
    plugin.Output,
    plugin.Observer,
    plugin.Progress,
)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


class Drop(Protocol):
    def __call__(self, name: str, **replaced: str) -> str: ...


@pytest.fixture
def drop(tmp_path) -> Drop:
    """Drops an example into a folder, some of its text replaced, and gives the folder."""
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)

    def dropped(name: str, **replaced: str) -> str:
        text = SHOWN[name]
        for was, now in replaced.items():
            assert was in text
            text = text.replace(was, now)
        file = folder / f"{name}.py"
        file.write_text(text)
        file.chmod(0o644)
        return str(folder)

    return dropped


def until(happened: Callable[[], bool]) -> None:
    """Wait for a plugin's write to a file, which has no notification."""
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_the_plugin_of_the_readme_prints_each_event(broker, drop, capfd):
    async with House(broker, plugins_dir=drop("printer")) as house:
        await house.said("Tea is ready.")
    assert "kitchen finished" in capfd.readouterr().out


async def test_webhook_text_is_spoken(broker, drop):
    port = free_port()
    async with House(broker, plugins_dir=drop("webhook"), webhook={"port": port}) as house:
        async with aiohttp.ClientSession() as session:
            reply = await session.post(
                f"http://127.0.0.1:{port}/kitchen", data=b'{"text": "Tea.", "id": "posted"}'
            )
        assert reply.status == 202
        outcome = await house.outcome("posted")
        assert (outcome["event_type"], outcome["speaker"]) == ("finished", "kitchen")


@asynccontextmanager
async def speech_route(pcm: bytes, status: list[int]) -> AsyncIterator[str]:
    """OpenAI's speech route, which answers in odd pieces; `status` is what it answers with."""

    async def speak(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        assert asked["response_format"] == "pcm"
        if status[0] != 200:
            return web.Response(status=status[0])
        reply = web.StreamResponse()
        await reply.prepare(request)
        for start in range(0, len(pcm), 1001):
            await reply.write(pcm[start : start + 1001])
        return reply

    app = web.Application()
    app.router.add_post("/v1/audio/speech", speak)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def test_the_transport_speaks_sample_exactly_and_gives_way_when_it_fails(broker, drop):
    pcm, status = speech.samples("d1500z", 24000), [200]
    async with speech_route(pcm, status) as url:
        folder = drop("openai_voice", **{"http://127.0.0.1:8880": url})
        async with House(broker, plugins_dir=folder, routes=[{"use": ["openai_voice", "local"]}]) as house:
            assert (await house.said("Tea is ready."))["transport"] == "openai_voice"
            assert house.heard() == pcm
            status[0] = 500
            outcome = await house.said("Tea is cold.")
            assert (outcome["event_type"], outcome["transport"]) == ("finished", "local")
            [attempt] = outcome["attempts"]
            assert attempt["transport"] == "openai_voice"
            assert attempt["error"].endswith("answers 500")


async def test_transport_falls_back_without_a_listener(broker, drop):
    folder = drop("openai_voice", **{"8880": str(free_port())})
    async with House(broker, plugins_dir=folder, routes=[{"use": ["openai_voice", "local"]}]) as house:
        outcome = await house.said("Tea is ready.")
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["openai_voice"]
        assert outcome["transport"] == "local"


async def test_the_output_gives_its_program_all_of_an_announcement(broker, drop, tmp_path):
    raw = tmp_path / "raw"
    speakers: dict[str, Any] = {
        "kitchen": {"output": "command", "command": ["sh", "-c", f"cat >>{raw}"]},
        "study": {"output": "wav_file", "path": str(tmp_path / "study.wav"), "pace": False},
    }
    async with House(broker, plugins_dir=drop("command"), speakers=speakers) as house:
        await house.say("Tea is ready.", to="all", id="tea")
        for speaker in speakers:
            assert (await house.outcome("tea", speaker=speaker))["event_type"] == "finished"
        assert raw.read_bytes() == (tmp_path / "study.wav").read_bytes()[44:]


async def test_an_output_whose_program_fails_is_a_fault_and_stops_with_the_announcement(broker, drop):
    speakers = {"kitchen": {"output": "command", "command": ["false"]}}
    async with House(broker, plugins_dir=drop("command"), speakers=speakers) as house:
        states = await house.client.collect("edgevoice/kitchen/state")
        await house.say("Tea is ready.", id="tea")
        fault = (await states.wait(lambda state: bool(state.json["fault"]))).json
        assert fault["state"] == "fault"
        assert fault["fault"].startswith("false ")
        await house.client.publish("edgevoice/kitchen/stop", "tea")
        assert (await house.outcome("tea"))["event_type"] == "cancelled"


async def test_the_observer_keeps_each_outcome(broker, drop):
    async with House(broker, plugins_dir=drop("outcome_log")) as house:
        for name in ("one", "two"):
            await house.said("Tea is ready.", id=name)
        kept = house.folder / "outcomes.jsonl"
        await asyncio.to_thread(until, lambda: kept.exists() and len(kept.read_text().splitlines()) == 2)
        outcomes = [json.loads(line) for line in kept.read_text().splitlines()]
        assert [(event["id"], event["event_type"]) for event in outcomes] == [
            ("one", "finished"),
            ("two", "finished"),
        ]


def test_shown_tests_pass(tmp_path):
    for name in ("command", "test_command"):
        (tmp_path / f"{name}.py").write_text(SHOWN[name])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_command.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 passed" in ended.stdout


def test_every_example_is_run_here():
    assert set(SHOWN) == {"printer", "webhook", "openai_voice", "command", "outcome_log", "test_command"}


def test_a_package_made_as_the_page_says_is_found_like_the_bundled_ones(tmp_path, monkeypatch):
    [text] = blocks(PLUGINS, "toml")
    project = tomllib.loads(text)["project"]
    [(name, module)] = project["entry-points"][GROUP].items()
    (tmp_path / f"{module}.py").write_text(SHOWN["command"])
    info = tmp_path / f"{module}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {module}\n")
    monkeypatch.syspath_prepend(tmp_path)
    plugins = Plugins.load()
    [record] = [record for record in plugins.records if record.origin == project["name"]]
    assert (record.status, record.provides) == (Status.READY, ["output command"])
    monkeypatch.delitem(sys.modules, module)


def test_every_hook_stands_on_the_page_with_its_signature():
    page, source = PLUGINS.read_text(), Path(plugin.__file__).read_text()
    signatures = re.findall(r"^@hookspec\n(def .*):$", source, re.MULTILINE)
    assert signatures
    for signature in signatures:
        assert f"\n{signature}\n" in page, signature
    for method in re.findall(r"^    def (\w+\(self, .*\) -> None): \.\.\.$", source, re.MULTILINE):
        assert f"\nregister.{method.replace('self, ', '')}\n" in page, method


def test_the_table_of_the_interface_names_every_member():
    rows = {
        row[0]: row[1] for row in re.findall(r"^\| `(\w+)` \| (.*) \|$", PLUGINS.read_text(), re.MULTILINE)
    }
    for kind in KINDS:
        for name in (name for name in vars(kind) if not name.startswith("_")):
            inherited = kind is not plugin.Plugin and name in vars(plugin.Plugin)
            assert inherited or f"`{name}" in rows[kind.__name__], f"{kind.__name__}.{name}"
    for values in (edgevoice.Context, edgevoice.SpeechRequest):
        for name in values.__dataclass_fields__:
            assert f"`{name}" in rows[values.__name__], f"{values.__name__}.{name}"
    assert issubclass(plugin.NoOptions, msgspec.Struct)
