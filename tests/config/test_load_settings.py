"""The configuration as a whole: every mistake at once, with its path, its line and the nearest right word.

Length: one table of configurations and the issue that each must give.
"""

import textwrap

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from edgevoice import ConfigError, Urgency
from edgevoice.config import find_config_file, load_settings, settings_from
from edgevoice.config.options import Route, When
from tests.support.dropin import FURNISHED, NEEDY, TIN_CAN, dropin
from tests.support.examples import examples

TEN_LINES = """
mqtt: {host: 192.168.1.10}
lightning: {api_key_file: api_key, voice: magnus}
speakers: {kitchen: {output: sound_card, groups: [downstairs]}}
"""


@pytest.fixture(scope="module")
def plugins_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configuration") / "plugins"
    return dropin(folder, tin_can=TIN_CAN, needy=NEEDY, page=FURNISHED)


@pytest.fixture
def mistakes(plugins_dir):
    """The mistakes of a configuration, as `line: path: message`, its first line being 1."""

    def mistakes(text):
        text = textwrap.dedent(text).strip("\n")
        if "speakers" not in text:
            text += "\nspeakers: {k: {output: tin_can, string: long}}"
        with pytest.raises(ConfigError) as caught:
            settings_from(f"{text}\nplugins_dir: {plugins_dir}")
        return [str(mistake) for mistake in caught.value.issues]

    return mistakes


@pytest.fixture
def settings_of(plugins_dir):
    return lambda text: settings_from(f"{textwrap.dedent(text)}\nplugins_dir: {plugins_dir}")


def test_the_ten_lines_of_the_contract_are_enough(tmp_path):
    (tmp_path / "api_key").write_text("sk_test\n")
    file = tmp_path / "edgevoice.yaml"
    file.write_text(TEN_LINES)
    loaded = load_settings(str(file))
    assert loaded.section("mqtt").host == "192.168.1.10"
    assert (loaded.speech.voice, loaded.speech.sample_rate) == ("magnus", 24000)
    assert loaded.core.speakers["kitchen"].groups == ("downstairs",)
    assert loaded.outputs.keys() == {"kitchen"}
    assert not loaded.warnings


def test_an_empty_file_is_all_defaults_and_one_speaker_named_like_the_node():
    loaded = settings_from("node: attic")
    assert list(loaded.core.speakers) == ["attic"] == list(loaded.outputs)
    assert loaded.core.limits.queue == 500
    assert loaded.core.first_audio_within(Urgency.CRITICAL) == 1.5
    assert [loaded.core.first_audio_within(urgency) for urgency in Urgency] == [6, 6, 3, 1.5]


def test_empty_sections_are_their_defaults(settings_of):
    loaded = settings_of("lightning:\nlimits:\npage:\nspeakers:\n  k: {output: tin_can, string: s}")
    assert loaded.speech.concurrency == 1
    assert loaded.section("page").port == 80


def test_every_mistake_is_told_at_once_with_its_line_and_the_nearest_right_word(mistakes):
    told = mistakes("""
        nod: attic
        lightning:
          voise: magnus
          model: lightning-v2
          speed: 3
          concurrency: "2"
          api_key_file: /nowhere/key
        speakers:
          kitchen:
            output: tin_can
            lenght: 4
            volume: 101
            groups: [ok, all, bath]
          bath: {output: tincan, quiet_volume: -1}
          all: {output: tin_can, string: s, length: 11, holes: [1, x]}
          Cellar: {output: tin_can, string: s}
        limits: {queue: 0}
        page: {port: eighty}
        routes:
          - when: {urgncy: high}
            use: [http, htpt, http]
          - when: {up_to: 0}
            use: [auto, local]
        """)
    expected = [
        "line 18: page.port: Expected whole number, got text (it is 'eighty')",
        "line 1: nod: unknown key; did you mean 'node'?",
        "line 3: lightning.voise: unknown key; did you mean 'voice'?",
        "line 5: lightning.speed: ",
        "line 6: lightning.concurrency: Expected whole number, got text (it is '2')",
        "line 4: lightning.model: 'lightning-v2' is retired; use 'lightning_v3.1'",
        "line 7: lightning.api_key_file: the file cannot be read (No such file or directory)",
        "line 11: speakers.kitchen.lenght: unknown key; did you mean 'length'?",
        "line 12: speakers.kitchen.volume: ",
        "speakers.kitchen.string: missing",
        "line 13: speakers.kitchen.groups[1]: every speaker answers to 'all' already",
        "line 13: speakers.kitchen.groups[2]: 'bath' is the name of a speaker",
        "line 14: speakers.bath.output: no output is called 'tincan'; did you mean 'tin_can'?",
        "line 14: speakers.bath.quiet_volume: ",
        "line 15: speakers.all: 'all' is reserved",
        "line 15: speakers.all.length: ",
        "line 15: speakers.all.holes[1]: Expected whole number",
        "line 16: speakers.Cellar: a speaker's name is 1 to 64 of a-z 0-9 _ -",
        "line 17: limits.queue: ",
        "line 20: routes[0].when.urgncy: unknown key; did you mean 'urgency'?",
        "line 21: routes[0].use[1]: no transport is called 'htpt'; did you mean 'http'?",
        "line 21: routes[0].use: names a transport twice",
        "line 22: routes[1].when.up_to: ",
        "line 23: routes[1].use: auto stands alone, as use: auto",
        "routes: the last route must have no `when`",
    ]
    for start in expected:
        assert [message for message in told if start in message], (start, told)
    assert len(told) == len(expected)


@pytest.mark.parametrize(
    "model",
    ["lightning", "lightning-large", "lightning_large", "lightning-v2", "lightning_v2", "lightning_v3"],
)
def test_a_retired_model_names_its_successor(mistakes, model):
    assert mistakes(f"lightning: {{model: {model}}}") == [
        f"line 1: lightning.model: {model!r} is retired; use 'lightning_v3.1'"
    ]


@pytest.mark.parametrize("model", ["lightning_v3.1", "lightning_v3.1_pro"])
def test_a_model_that_is_served_is_accepted(settings_of, model):
    assert settings_of(f"lightning: {{model: {model}}}").section("lightning").model == model


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lightning: {model: lightning_v31}", "did you mean 'lightning_v3.1'?"),
        ("lightning: {voice: no}", "False is not a string; put it in quotes"),
        ("lightning: {voice: 42}", "42 is not a string; put it in quotes"),
        ("node: 12", "12 is"),
        ("node: Attic", "1 to 64 of a-z"),
        ('node: "attic\\n"', "1 to 64 of a-z"),
        ("node: all", "'all' is reserved"),
        ("lightning: {sample_rate: 22050}", "22050 is not one of 8000, 16000, 24000, 44100 (Hz)"),
        ("lightning: {output_format: mp3}", "must be wav or pcm"),
        ("lightning: {base_url: 'http://a/api/v1'}", "the server's root"),
        ("lightning: {base_url: ftp://a}", "the server's root"),
        ("lightning: 5", "lightning: must be a mapping, not a number"),
        ("speakers: [kitchen]", "must be a mapping of names to speakers"),
        ("speakers: {kitchen: sound_card}", "must be a mapping, such as {output: sound_card}"),
        ("speakers: {k: {output: 5}}", "no output is called '5'"),
        ("speakers: {k: {output: needy}}", "'needy' needs a thing: pip install thing"),
        ("speakers: {k: {output: tin_can, string: s, groups: up}}", "speakers.k.groups: Expected list"),
        (
            "speakers: {k: {output: tin_can, string: s, groups: [Up]}}",
            "speakers.k.groups[0]: 'Up' is not allowed: 1 to 64",
        ),
        ("page: [80]", "page: must be a mapping, not a list"),
        ("page: {port: 13}", "page: 13 brings bad luck"),
        ("routes: []", "the last route must have no `when`"),
        ("routes: 5", "line 1: routes: "),
        ("routes: [5]", "routes[0]: must be a mapping, not a number"),
        ("routes: [{use: http}]", "must be auto, or a list of transports, such as [http]"),
        ("routes: [{use: [auto]}]", "auto stands alone, as use: auto"),
        ("routes: [{use: automatic}]", "must be auto, or a list of transports, such as [automatic]"),
        ("routes: [{use: []}]", "must name at least one"),
        ("routes: [{when: {live: true}}]", "routes[0].use: missing"),
        ("routes: [{use: [http]}, {use: [local]}]", "routes[0]: a route without `when`"),
        ("routes: [{when: {urgency: loud}, use: [http]}, {use: [http]}]", "routes[0].when.urgency"),
        (
            "routes: [{when: {urgency: hgh}, use: [http]}, {use: [http]}]",
            "routes[0].when.urgency: 'hgh' is none of them; did you mean 'high'?",
        ),
        (
            "routes: [{when: {urgency: [high, loud]}, use: [http]}, {use: [http]}]",
            "routes[0].when.urgency[1]: 'loud' is none of them; there are: critical, high, low, normal",
        ),
        ("first_audio_timeout: {high: 0}", "first_audio_timeout.high: "),
        ("first_audio_timeout: soon", "first_audio_timeout: "),
        ("critical_deadline: .nan", "critical_deadline: "),
        ("hedging: true", "hedging: needs two requests at once: raise lightning.concurrency"),
        ("hedging: sometimes", "hedging: 'sometimes' is none of them; there are: auto"),
        ("1: 2", "line 1: 1: unknown key"),
        ("true: 2", "True: unknown key"),
        ("api_key: sk_secret", "api_key: unknown key"),
    ],
)
def test_each_mistake_is_said_in_a_sentence(mistakes, text, message):
    told = mistakes(text)
    assert [line for line in told if message in line], told


def test_plugin_gets_its_section(settings_of):
    loaded = settings_of("""
        page: {port: 8080, hosts: [a, b]}
        speakers:
          kitchen: {output: tin_can, string: taut, holes: [1, 2], groups: [down, up], volume: 40}
        first_audio_timeout: 4
        routes:
          - {when: {urgency: high, live: false}, use: [websocket, local]}
          - use: [http]
        """)
    page, can = loaded.section("page"), loaded.outputs["kitchen"]
    assert (page.port, page.hosts) == (8080, ("a", "b"))
    assert (can.string, can.length, can.holes) == ("taut", 3, [1, 2])
    assert loaded.core.speakers["kitchen"].groups == ("down", "up")
    assert loaded.core.first_audio_within(Urgency.LOW) == 4
    assert loaded.core.routes == (
        Route(when=When(urgency=Urgency.HIGH, live=False), use=("websocket", "local")),
        Route(use=("http",)),
    )


@pytest.mark.parametrize(
    ("text", "hedges"),
    [
        ("", False),
        ("hedging: auto", False),
        ("lightning: {concurrency: 2}", True),
        ("hedging: true\nlightning: {concurrency: 2}", True),
        ("hedging: false\nlightning: {concurrency: 2}", False),
    ],
)
def test_a_request_is_made_twice_only_where_two_are_allowed_at_once(text, hedges, settings_of):
    settings = settings_of(f"{text}\nspeakers: {{k: {{output: tin_can, string: s}}}}")
    assert settings.core.hedging_enabled(settings.speech.concurrency) is hedges


# ---- key files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "is no text"),
        (b"sk one\n", "more than one API key"),
        (b"sk\nx", "more than"),
    ],
)
def test_a_key_file_without_a_key_is_a_mistake(tmp_path, content, message):
    file = tmp_path / "e.yaml"
    file.write_text("lightning: {api_key_file: key}")
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_settings(str(file))
    (mistake,) = [each for each in caught.value.issues if each.path == "lightning.api_key_file"]
    assert message in mistake.message
    assert mistake.line == 1


@pytest.mark.parametrize("named", ["sk_live_0123456789", '"sk_live\\0123"', "~nobody_here/sk_live_0123", "."])
def test_a_key_that_was_written_in_place_of_its_file_is_not_shown(mistakes, named):
    (mistake,) = mistakes(f"lightning: {{api_key_file: {named}}}")
    assert "the file cannot be read" in mistake
    assert "sk_live" not in mistake


# ---- which file --------------------------------------------------------------------------------------


def test_the_file_is_the_one_named_then_the_environments_then_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    mine = tmp_path / ".config" / "edgevoice" / "edgevoice.yaml"
    mine.parent.mkdir(parents=True)
    mine.touch()
    assert find_config_file() == mine
    monkeypatch.setenv("EDGEVOICE_CONFIG", "/e.yaml")
    assert str(find_config_file()) == "/e.yaml"
    assert find_config_file("~/f.yaml") == tmp_path / "f.yaml"


def test_a_file_that_was_named_and_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_settings(str(tmp_path / "nothing.yaml"))


# ---- anything at all ---------------------------------------------------------------------------------

WHOLE = {
    "node": "attic",
    "state_dir": "/tmp/x",
    "critical_deadline": 1.5,
    "first_audio_timeout": {"low": 6, "high": 3},
    "routes": [{"when": {"urgency": ["high"], "up_to": 5}, "use": ["http"]}, {"use": ["local"]}],
    "lightning": {
        "base_url": "http://a",
        "api_key_file": "key",
        "model": "lightning_v3.1",
        "pronunciation_dicts": ["a"],
    },
    "speakers": {
        "k": {"output": "tin_can", "string": "s", "groups": ["g"], "volume": 5},
        "l": {"output": "needy"},
    },
    "limits": {"queue": 5, "total": False},
    "page": {"port": 1, "hosts": ["a"]},
    "mqtt": {"host": "a", "port": 1883, "tls": True},
    "plugins_dir": None,
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from(
        [[], {}, [[]], {"a": {}}, [{}], {1: 2}, {None: None}, "~x/y", "a\0b", "~", "auto", 10**400]
    ),
    st.lists(st.text(max_size=3) | st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=3), max_size=3),
)


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    changed = value.copy()
    changed[path[0]] = replaced(changed[path[0]], path[1:], new)
    return changed


PLACES = [path for path in places(WHOLE) if path]


@examples(250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=3))
def test_any_value_gives_settings_or_configuration_error(changes, plugins_dir):
    values = {**WHOLE, "plugins_dir": str(plugins_dir)}
    for path, new in changes:
        try:
            values = replaced(values, path, new)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError):
            continue  # the place went with an earlier change
    accepted_or_told(yaml.dump(values, allow_unicode=True))


@examples(250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, 1000),
    length=st.integers(0, 8),
    new=st.text(max_size=6) | st.sampled_from(["\n", ": ", "- ", "&a ", "*a", "!!", "'"]),
)
def test_any_text_gives_settings_or_configuration_error(at, length, new, plugins_dir):
    text = yaml.safe_dump({**WHOLE, "plugins_dir": str(plugins_dir)})
    at %= len(text)
    accepted_or_told(text[:at] + new + text[at + length :])


def accepted_or_told(text):
    try:
        settings = settings_from(text)
    except ConfigError as error:
        assert str(error)  # noqa: PT017 - either is right
    else:
        assert settings.core.speakers


def test_two_speakers_that_write_one_file_are_a_mistake():
    with pytest.raises(ConfigError, match=r"speakers\.b: /tmp/x\.wav is already used by speaker a"):
        settings_from(
            "speakers: {a: {output: wav_file, path: /tmp/x.wav}, b: {output: wav_file, path: /tmp/x.wav}}"
        )


# ---- the options of an output ----


@pytest.mark.parametrize(
    "speaker",
    [
        "{output: {type: tin_can, string: s, length: 7}, groups: [ground], volume: 40}",
        "{output: tin_can, string: s, length: 7, groups: [ground], volume: 40}",
    ],
)
def test_output_options_nested_and_flat_are_equal(settings_of, speaker):
    settings = settings_of(f"speakers: {{kitchen: {speaker}}}")
    kitchen = settings.core.speakers["kitchen"]
    assert (kitchen.output, kitchen.groups, kitchen.volume) == ("tin_can", ("ground",), 40)
    assert (settings.outputs["kitchen"].string, settings.outputs["kitchen"].length) == ("s", 7)


def test_nested_output_issues_carry_their_path(mistakes):
    told = mistakes("""
        speakers:
          a: {output: {type: tin_can, string: s, lenght: 7}}
          b: {output: {type: tincan}}
          c: {output: {type: tin_can}, string: s}
          d: {output: {type: tin_can, string: s, volume: 7}}
          e: {output: 5}
        """)
    for start in (
        "line 2: speakers.a.output.lenght: unknown key; did you mean 'length'?",
        "line 3: speakers.b.output.type: no output is called 'tincan'; did you mean 'tin_can'?",
        "line 4: speakers.c.string: unknown key",
        "speakers.c.output.string: missing",
        "line 5: speakers.d.output.volume: unknown key",
        "line 6: speakers.e.output: no output is called '5'",
    ):
        assert [issue for issue in told if start in issue], (start, told)
    assert len(told) == 6


def test_output_without_type_is_the_default(settings_of):
    try:
        output = settings_of("speakers: {kitchen: {output: {device: USB}}}").core.speakers["kitchen"].output
    except ConfigError as error:  # a machine without the library for it
        [issue] = error.issues
        assert (issue.path, "sound_card" in issue.message) == ("speakers.kitchen.output.type", True)
    else:
        assert output == "sound_card"


# ---- the key over the network ----


@pytest.mark.parametrize(
    ("url", "is_warned"),
    [
        ("http://lightning.example", True),
        ("http://192.168.1.5:8400", True),
        ("https://lightning.example", False),
        ("http://127.0.0.1:8400", False),
        ("http://localhost:8400", False),
    ],
)
def test_key_over_plain_http_is_a_warning(settings_of, monkeypatch, url, is_warned):
    monkeypatch.setenv("SMALLEST_API_KEY", "sk_of_nobody")
    text = f"lightning: {{base_url: '{url}'}}\nspeakers: {{k: {{output: tin_can, string: s}}}}"
    assert any("lightning.base_url" in warning for warning in settings_of(text).warnings) is is_warned
    monkeypatch.delenv("SMALLEST_API_KEY")
    assert not any("lightning.base_url" in warning for warning in settings_of(text).warnings)
