"""The configuration files that come with EdgeVoice say what the code does: every option, with its default."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from functools import cache
from itertools import takewhile
from typing import Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from edgevoice.announcement import Urgency
from edgevoice.audio.chimes import BUILT_IN, NO_CHIME
from edgevoice.cli import edgevoice as command_line
from edgevoice.composition import chimes_by_urgency
from edgevoice.config import Settings, settings_from
from edgevoice.config.options import (
    ByUrgency,
    CacheOptions,
    CoreOptions,
    Limits,
    PerMinute,
    Phrase,
    QuietHours,
    RepeatGrowth,
    SpeakerOptions,
    When,
)
from edgevoice.errors import ConfigError
from edgevoice.plugin_loader import Plugins
from edgevoice.scheduler.policy import DEFAULT_CHIMES
from edgevoice.synthesis.routing import DEFAULT_ROUTES
from edgevoice_plugins.lightning.options import LightningOptions
from edgevoice_plugins.mqtt.options import Tls
from tests.support.broker import Broker, MqttClient
from tests.support.pages import ROOT

FULL = (ROOT / "config" / "edgevoice.yaml").read_text()
MINIMAL = (ROOT / "config" / "minimal.yaml").read_text()
OPTION = re.compile(r"^#((?:  )*(?:- )?[a-z{].*)$")
PROSE = re.compile(r"^#(?: \S.*)?$")
#: The reason code of a PUBACK for a topic that the client may not publish to (MQTT 5).
NOT_AUTHORIZED = 0x87
#: Options whose default is no constant.
NAMED = {"node", "speakers"}
#: Options whose default is not that of `Core`; each has a test of its own.
ELSEWHERE = {"routes", "chime"}


def uncommented() -> str:
    """The full file with every option set; its lines keep their numbers."""
    return "\n".join(
        option[1] if (option := OPTION.match(line)) and not PROSE.match(line) else line
        for line in FULL.splitlines()
    )


@cache
def settings() -> Settings:
    return settings_from(uncommented())


def given() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(uncommented())
    return values


def keys(options: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(options)}


def test_each_line_is_prose_or_an_option():
    for line in FULL.splitlines():
        assert not line or PROSE.match(line) or OPTION.match(line), line


def test_as_it_stands_the_file_sets_nothing():
    assert settings_from(FULL).core == settings_from("").core


def test_with_everything_uncommented_check_accepts_it(tmp_path):
    file = tmp_path / "edgevoice.yaml"
    file.write_text(uncommented())
    result = CliRunner().invoke(command_line, ["check", "--config", str(file)])
    assert result.exit_code == 0, result.output
    assert "no mistakes" in result.output


def test_every_option_of_the_core_is_there_and_no_other():
    values, parts = given(), Plugins.load()
    sections = {name for name, kinds in parts.sections.items() if msgspec.structs.fields(kinds[0].options)}
    assert set(values) == keys(CoreOptions) | sections
    assert set(values["lightning"]) == keys(LightningOptions)
    assert set(values["limits"]) == keys(Limits)
    assert set(values["first_audio_timeout"]) == keys(ByUrgency)
    assert set(values["insist"]) == keys(RepeatGrowth)
    assert set(values["cache"]) == keys(CacheOptions)
    assert set(values["chime"]) == set(Urgency)
    for rate in (values["limits"][name] for name in keys(Limits) - {"queue"}):
        assert set(rate) == keys(PerMinute)
    for word in keys(When) | keys(Tls) | keys(QuietHours) | keys(Phrase):
        assert re.search(rf"\b{word}\b", FULL), word


@pytest.mark.parametrize("name", sorted(keys(CoreOptions) - NAMED - ELSEWHERE))
def test_an_option_of_the_core_shows_its_default(name):
    assert getattr(settings().core, name) == getattr(CoreOptions(), name)


def test_example_routes_are_the_defaults():
    assert msgspec.to_builtins(settings().core.routes) == msgspec.to_builtins(DEFAULT_ROUTES)


def test_example_chimes_are_the_defaults():
    assert chimes_by_urgency(settings().core) == dict.fromkeys(Urgency, NO_CHIME) | DEFAULT_CHIMES
    [names] = re.findall(r"The names: (.*), and your own", FULL)
    assert names.split(", ") == sorted(BUILT_IN)


def test_every_section_of_a_source_or_observer_shows_its_defaults():
    for name, kinds in settings().plugins.sections.items():
        assert set(given().get(name, {})) == keys(kinds[0].options), name
        if name != "lightning":  # it names a key file
            assert settings().sections[name] == kinds[0].options(), name


def test_every_option_of_every_output_is_there_with_its_default():
    shown = {speaker.output: name for name, speaker in settings().core.speakers.items()}
    assert set(shown) == set(settings().plugins.outputs)
    for output, name in shown.items():
        kind = settings().plugins.outputs[output].options
        own = set(given()["speakers"][name]) & keys(SpeakerOptions)
        assert set(given()["speakers"][name]) - own == keys(kind), output
        for field in msgspec.structs.fields(kind):
            shown_value = getattr(settings().outputs[name], field.name)
            assert field.required or shown_value == field.default, f"{output}: {field.name}"


def test_the_first_speaker_shows_every_option_of_a_speaker_with_its_default():
    name, speaker = next(iter(settings().core.speakers.items()))
    assert keys(SpeakerOptions) <= set(given()["speakers"][name])
    assert speaker == SpeakerOptions()


def test_the_minimal_file_is_three_lines_that_pass_the_check(tmp_path):
    assert len([line for line in MINIMAL.splitlines() if not line.startswith("#")]) == 3
    (tmp_path / "api_key").write_text("sk_of_nobody")
    file = tmp_path / "edgevoice.yaml"
    file.write_text(MINIMAL.replace("/etc/edgevoice/api_key", "api_key"))
    result = CliRunner().invoke(command_line, ["check", "--config", str(file)])
    assert result.exit_code == 0, result.output
    assert "note:" not in result.output


def test_the_minimal_file_says_that_its_key_file_is_missing(tmp_path):
    with pytest.raises(ConfigError, match=r"lightning\.api_key_file.*cannot be read"):
        settings_from(MINIMAL.replace("/etc/edgevoice/api_key", str(tmp_path / "missing")))


def access_list() -> list[str]:
    """The lines of the example in `mosquitto.conf`, as they are copied into the file of the access list."""
    _, _, example = (ROOT / "config" / "mosquitto.conf").read_text().partition("Example of that file:\n")
    lines = takewhile(lambda line: line == "#" or line.startswith("#   "), example.splitlines())
    return [line.removeprefix("#").removeprefix("   ") for line in lines]


async def test_access_list_for_mosquitto_gives_each_user_its_rights():
    users = dict.fromkeys(("edgevoice", "home-assistant", "doorbell"), "a password")
    with Broker(users=users, acl=access_list()) as broker:
        async with AsyncExitStack() as stack:
            daemon, home, doorbell = [
                await stack.enter_async_context(MqttClient(broker, username=name, password=password))
                for name, password in users.items()
            ]
            arrived = {client: await client.collect("edgevoice/#") for client in (daemon, home, doorbell)}
            allowed = {
                daemon: ["hall/event", "hall/say", "all/ack"],
                home: ["hall/say", "hall/say/high", "hall/stream/a1", "hall/stop"],
                doorbell: ["hall/say/high"],
            }
            denied = {
                home: ["hall/event", "hall/volume/set", "hall/ack"],
                doorbell: ["hall/say", "hall/say/critical", "kitchen/say/high", "hall/stop"],
            }
            expected = [f"edgevoice/{topic}" for topics in allowed.values() for topic in topics]
            for client, topics in denied.items():
                assert [await client.publish(f"edgevoice/{topic}") for topic in topics] == [
                    NOT_AUTHORIZED for _ in topics
                ]
            for client, topics in allowed.items():
                assert [await client.publish(f"edgevoice/{topic}") for topic in topics] == [0 for _ in topics]
            for client in (daemon, home):
                await arrived[client].wait_for_count(len(expected))
                assert [message.topic for message in arrived[client].messages] == expected
            assert arrived[doorbell].messages == []
