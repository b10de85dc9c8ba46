"""The options of quiet hours, loudness and limits: their meaning, and unknown options."""

from __future__ import annotations

import wave
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from edgevoice import ConfigError, Urgency
from edgevoice.composition import speaker_policy, system_clock
from edgevoice.config import Settings, load_settings, settings_from
from edgevoice.scheduler.policy import DEFAULT_CHIMES, QuietWindow, RepeatGrowth, SpeakerPolicy
from tests.support.announcements import rate

if TYPE_CHECKING:
    from pathlib import Path

EVERY_DAY = frozenset(range(7))


def policy_of(text: str) -> SpeakerPolicy:
    """Return the policy of the first speaker."""
    settings = settings_from(text)
    return speaker_policy(settings, next(iter(settings.core.speakers.values())))


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings_from(text)
    return [str(mistake) for mistake in caught.value.issues]


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [
        ('"22:00"', '"07:00"', (22 * 60, 7 * 60)),
        ("22:00", "07:00", (22 * 60, 7 * 60)),
        ("22:00", "7:00", (22 * 60, 7 * 60)),
        ("08:09", "12:30", (8 * 60 + 9, 12 * 60 + 30)),
        ("0:30", "00:45", (30, 45)),
        ("22:00", "24:00", (22 * 60, 0)),
        ("1:00", "23:59", (60, 23 * 60 + 59)),
    ],
)
def test_a_time_of_quiet_hours_is_understood_in_quotes_and_without(start, end, minutes):
    shown = policy_of(f"quiet_hours: [{{from: {start}, to: {end}}}]").quiet_hours
    assert shown == (QuietWindow(EVERY_DAY, *minutes),)


@pytest.mark.parametrize(
    "wrong",
    ["22", "7", "0", "-5", '"22"', '"22.00"', "25:00", '"25:00"', '"22:60"', "22:00:00", '"ten"', '""'],
)
@pytest.mark.parametrize("key", ["from", "to"])
def test_invalid_time_of_day_is_rejected(key, wrong):
    other = "to" if key == "from" else "from"
    [mistake] = mistakes(f'quiet_hours: [{{{other}: "07:00", {key}: {wrong}}}]')
    assert mistake.startswith(f"line 1: quiet_hours[0].{key}: ")
    assert "time of day" in mistake


def test_quiet_hours_have_the_days_they_begin_on():
    [window] = policy_of("quiet_hours: [{days: [fri, sat], from: 23:00, to: 09:00}]").quiet_hours
    assert window == QuietWindow(frozenset({4, 5}), 23 * 60, 9 * 60)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ('quiet_hours: [{days: [monday], from: "22:00", to: "07:00"}]', "did you mean 'mon'?"),
        ('quiet_hours: [{from: "22:00"}]', "quiet_hours[0].to: missing"),
        ('quiet_hours: [{from: "22:00", until: "07:00", to: "07:00"}]', "quiet_hours[0].until: unknown key"),
        ('quiet_hours: {from: "22:00", to: "07:00"}', "quiet_hours: Expected list, got mapping"),
        (
            "speakers: {k: {quiet_hours: [{from: 22, to: 07:00}]}}",
            "speakers.k.quiet_hours[0].from: expected a time of day",
        ),
    ],
)
def test_invalid_window_is_rejected(text, mistake):
    assert mistake in mistakes(text)[0]


def test_the_quiet_hours_of_a_speaker_take_the_place_of_everybodys():
    settings = settings_from(
        "quiet_hours: [{from: 22:00, to: 07:00}]\n"
        "speakers:\n"
        "  kitchen: {}\n"
        "  nursery: {quiet_hours: [{from: 19:00, to: 07:00}]}\n"
        "  cellar: {quiet_hours: []}\n"
    )
    speakers = settings.core.speakers
    hours = {name: speaker_policy(settings, speaker).quiet_hours for name, speaker in speakers.items()}
    assert hours == {
        "kitchen": (QuietWindow(EVERY_DAY, 22 * 60, 7 * 60),),
        "nursery": (QuietWindow(EVERY_DAY, 19 * 60, 7 * 60),),
        "cellar": (),
    }


def test_the_clock_on_the_wall_is_that_of_the_configured_zone():
    clock = system_clock(settings_from("timezone: Pacific/Kiritimati").core)
    there, here = clock.now(), datetime.now(ZoneInfo("Pacific/Kiritimati"))
    assert abs((there - here).total_seconds()) < 60
    assert there.utcoffset() == here.utcoffset()
    assert system_clock(settings_from("").core).now().utcoffset() == datetime.now().astimezone().utcoffset()


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("Europe", "no time zone is called 'Europe'"),
        ("../../etc/passwd", "no time zone is called"),
        ('""', "no time zone is called ''"),
    ],
)
def test_a_time_zone_that_there_is_not_is_a_mistake(zone, hint):
    [mistake] = mistakes(f"timezone: {zone}")
    assert mistake.startswith("line 1: timezone: ")
    assert hint in mistake


def test_chimes_are_those_of_the_contract_unless_they_are_set():
    assert policy_of("").chimes == DEFAULT_CHIMES
    assert set(policy_of("chime: none").chimes.values()) == {"none"}
    assert policy_of("chime: ding").chimes == dict.fromkeys(Urgency, "ding")
    shown = policy_of("chime: {high: none, low: done}").chimes
    assert shown == {Urgency.LOW: "done", Urgency.HIGH: "none", Urgency.CRITICAL: "alarm"}


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ("chime: dign", "chime", "did you mean 'ding'?"),
        ("chime: {high: gong}", "chime.high", "alarm, attention, ding, done, none, question"),
        ("chime: {loud: ding}", "chime", "loud"),
        ("chime: off", "chime", "true or false"),
    ],
)
def test_a_chime_that_there_is_not_is_a_mistake(text, path, hint):
    [mistake] = mistakes(text)
    assert mistake.startswith(f"line 1: {path}: ")
    assert hint in mistake


def write_chime(file: Path, *, width: int = 2) -> None:
    with wave.open(str(file), "wb") as chime:
        chime.setparams((1, width, 24000, 0, "NONE", ""))
        chime.writeframes(bytes(2400 * width))


@pytest.fixture
def beside(tmp_path):
    """Loads a configuration whose folder `own` holds a chime."""
    (tmp_path / "own").mkdir()
    write_chime(tmp_path / "own" / "bell.wav")

    def beside(text: str) -> Settings:
        (tmp_path / "edgevoice.yaml").write_text(text)
        return load_settings(str(tmp_path / "edgevoice.yaml"))

    return beside


def test_a_folder_of_chimes_lies_beside_the_configuration(beside, tmp_path):
    settings = beside("chimes_dir: own\nchime: {high: bell}")
    assert settings.core.chimes_dir == tmp_path / "own"
    assert beside(f"chimes_dir: {tmp_path}/own").core.chimes_dir == tmp_path / "own"
    assert beside("").core.chimes_dir is None


def test_a_folder_of_chimes_that_cannot_be_used_is_a_mistake(beside, tmp_path):
    with pytest.raises(ConfigError, match="no chime is called 'bell'"):
        beside("chime: bell")
    with pytest.raises(ConfigError, match=r"chimes_dir: there is no folder .*nowhere"):
        beside("chimes_dir: nowhere")
    write_chime(tmp_path / "own" / "deep.wav", width=3)
    (tmp_path / "own" / "song.wav").write_text("la la la")
    with pytest.raises(ConfigError) as caught:
        beside("chimes_dir: own")
    told = [str(mistake) for mistake in caught.value.issues]
    assert [text.split(" cannot")[0] for text in told] == [
        "line 1: chimes_dir: deep.wav",
        "line 1: chimes_dir: song.wav",
    ]


def test_limits_are_on_unless_they_are_off():
    assert settings_from("").core.limits.critical == rate(10, 10)
    rates = settings_from("limits: {per_topic: off, total: {per_minute: 0.5, burst: 2}}").core.limits
    assert (rates.per_topic, rates.total) == (False, rate(0.5, 2))
    off = settings_from("limits: {per_topic: off, total: false, critical: off}").core.limits
    assert (off.per_topic, off.total, off.critical) == (False, False, False)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("limits: {per_topic: on}", "limits.per_topic"),
        ("limits: {per_topic: 6}", "limits.per_topic"),
        ("limits: {per_topic: {per_minute: 3}}", "limits.per_topic.burst"),
        ("limits: {total: {per_minute: 0, burst: 1}}", "limits.total.per_minute"),
        ("limits: {critical: {per_minute: 1, burst: 0}}", "limits.critical.burst"),
        ("limits: {critical: {per_hour: 1, burst: 1, per_minute: 1}}", "limits.critical.per_hour"),
    ],
)
def test_invalid_limit_is_rejected(text, path):
    [mistake] = mistakes(text)
    assert mistake.startswith(f"line 1: {path}: ")


def test_the_digest_is_on_request_unless_it_is_set():
    assert policy_of("").digest == "on_request"
    assert policy_of("digest: at_end").digest == "at_end"
    assert policy_of("digest: off").digest == policy_of('digest: "off"').digest == "off"
    assert policy_of("digest_keep: 3600").digest_keep == 3600
    [mistake] = mistakes("digest: never")
    assert mistake == "line 1: digest: 'never' is none of them; there are: at_end, off, on_request"


def test_an_age_is_said_only_where_that_is_asked_for():
    assert policy_of("").say_age is None
    assert policy_of("say_age: off").say_age is None
    assert policy_of("say_age: 60").say_age == 60
    for wrong in ("on", "0", "-1", "soon"):
        [mistake] = mistakes(f"say_age: {wrong}")
        assert mistake.startswith("line 1: say_age: "), wrong


def test_how_an_alert_grows_more_insistent_is_configuration():
    assert policy_of("").growth == RepeatGrowth(gap=1.0, volume=0)
    assert policy_of("insist: {gap: 0.5, volume: 10}").growth == RepeatGrowth(gap=0.5, volume=10)
    assert policy_of("insist: {volume: 10}").growth == RepeatGrowth(gap=1.0, volume=10)
    for wrong in ("gap: 2", "gap: 0", "volume: 101", "loud: 1"):
        [mistake] = mistakes(f"insist: {{{wrong}}}")
        assert mistake.startswith(f"line 1: insist.{wrong.split(':')[0]}: "), wrong


def test_none_of_them_is_a_thing_that_is_not_acted_on():
    text = (
        "timezone: Europe/Berlin\nquiet_hours: [{from: 22:00, to: 07:00}]\nchime: ding\nsay_age: 60\n"
        "insist: {gap: 0.5}\ndigest: at_end\ndigest_keep: 60\nlimits: {per_topic: off}\n"
        "speakers: {kitchen: {quiet_volume: 20, quiet_hours: []}}"
    )
    assert settings_from(text).warnings == ()
