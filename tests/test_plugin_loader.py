"""Plugins of others: each way to be broken is told of that one plugin, and the others work."""

import sys

import pytest

from edgevoice.plugin_loader import Plugins, Status
from tests.support.dropin import NEEDY, TIN_CAN, dropin

BEGIN = "from edgevoice import Observer, Output, Source, Transport, hookimpl\n"
OUTPUT = "class Mine(Output):\n    async def play(self, audio, rate, progress): ...\n"
HOOK = "@hookimpl\ndef edgevoice_register(register):\n"
BROKEN = {
    "raises": ("raise RuntimeError('out of order')", "RuntimeError: out of order"),
    "raises_nothing_to_say": ("raise ValueError", "ValueError"),
    "exits": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "raises_anything": ("class Odd(BaseException): ...\nraise Odd('odd')", "Odd: odd"),
    "syntax": ("def (", "SyntaxError"),
    "no_module": ("import no_such_module_at_all", "no_such_module_at_all"),
    "null_byte": ("a = 1\x00", "null byte"),
    "empty": ("", "registers nothing"),
    "no_hook": (BEGIN + OUTPUT + "def edgevoice_register(register): ...", "registers nothing"),
    "misspelt": (
        BEGIN + "@hookimpl\ndef edgevoice_registre(register): ...",
        "did you mean 'edgevoice_register'?",
    ),
    "wrong_argument": (BEGIN + "@hookimpl\ndef edgevoice_register(registry): ...", "registry"),
    "hook_raises": (BEGIN + HOOK + "    1 / 0", "ZeroDivisionError"),
    "abstract": (
        BEGIN + "class Mine(Output): ...\n" + HOOK + "    register.output('mine', Mine)",
        "does not implement play",
    ),
    "wrong_type": (BEGIN + HOOK + "    register.output('mine', dict)", "subclass of edgevoice.Output"),
    "wrong_kind": (
        BEGIN + OUTPUT + HOOK + "    register.source('mine', Mine)",
        "subclass of edgevoice.Source",
    ),
    "an_object": (BEGIN + OUTPUT + HOOK + "    register.output('mine', object())", "subclass"),
    "no_name": (BEGIN + OUTPUT + HOOK + "    register.output(None, Mine)", "not a valid name"),
    "odd_name": (BEGIN + OUTPUT + HOOK + "    register.output('My Output', Mine)", "not a valid name"),
    "unknown_kind": (BEGIN + OUTPUT + HOOK + "    register.outptu('mine', Mine)", "outptu"),
    "duplicate": (
        BEGIN + OUTPUT + HOOK + "    register.output('tin_can', Mine)",
        "called 'tin_can' exists already",
    ),
    "options_of_none": (
        BEGIN + OUTPUT + "    options = dict\n" + HOOK + "    register.output('mine', Mine)",
        "TypeError",
    ),
    "options_unresolved": (
        "from __future__ import annotations\nimport msgspec\n"
        + BEGIN
        + "class Options(msgspec.Struct):\n    a: NoSuchType = None\n"
        + OUTPUT
        + "    options = Options\n"
        + HOOK
        + "    register.output('mine', Mine)",
        "NoSuchType",
    ),
    "missing_raises": (
        BEGIN
        + OUTPUT
        + "    @classmethod\n    def missing_dependency(cls): raise OSError('no')\n"
        + HOOK
        + "    register.output('mine', Mine)",
        "OSError: no",
    ),
    "half": (
        BEGIN + OUTPUT + HOOK + "    register.output('half', Mine)\n    raise RuntimeError('midway')",
        "midway",
    ),
}


@pytest.fixture
def loaded(tmp_path):
    """Loads a drop-in folder, and forgets its modules afterwards."""
    before = set(sys.modules)

    def load(**plugins):
        found = Plugins()
        found.add_folder(dropin(tmp_path / "plugins", **plugins))
        return found

    yield load
    for name in set(sys.modules) - before:
        del sys.modules[name]


def record(plugins, name):
    (found,) = [each for each in plugins.records if each.name == name]
    return found


@pytest.mark.parametrize("name", BROKEN)
def test_broken_plugin_is_reported_and_others_work(loaded, name):
    source, problem = BROKEN[name]
    plugins = loaded(**{"a_can": TIN_CAN, f"b_{name}": source, "c_needy": NEEDY})
    broken = record(plugins, f"b_{name}")
    assert broken.status is Status.BROKEN
    assert problem in broken.problem
    assert not broken.provides
    assert set(plugins.outputs) == {"tin_can", "needy"}
    assert not plugins.sources
    assert record(plugins, "a_can").status is Status.READY
    assert record(plugins, "a_can").provides == ["output tin_can"]


def test_several_broken_plugins_do_no_harm(loaded):
    plugins = loaded(
        a_can=TIN_CAN, **{f"b_{name}": source for name, (source, _) in BROKEN.items()}, z_needy=NEEDY
    )
    assert set(plugins.outputs) == {"tin_can", "needy"}
    assert sum(each.status is Status.BROKEN for each in plugins.records) == len(BROKEN)


def test_missing_dependency_names_the_package(loaded):
    needy = record(loaded(needy=NEEDY), "needy")
    assert (needy.status, needy.problem) == (Status.INCOMPLETE, "needs a thing: pip install thing")


def test_plugin_may_register_several_classes(loaded):
    source = BEGIN + OUTPUT + HOOK + "    register.output('one', Mine)\n    register.output('two', Mine)\n"
    source += "    register.observer('three', Observer)"
    assert record(loaded(many=source), "many").provides == ["output one", "output two", "observer three"]


def test_a_hook_may_have_another_name_in_its_module(loaded):
    source = (
        BEGIN
        + OUTPUT
        + "@hookimpl(specname='edgevoice_register')\ndef enter(register): register.output('mine', Mine)"
    )
    assert set(loaded(mine=source).outputs) == {"mine"}


def test_ctrl_c_is_not_taken_for_a_broken_plugin(loaded):
    with pytest.raises(KeyboardInterrupt):
        loaded(slow="raise KeyboardInterrupt")


@pytest.mark.parametrize("what", ["the file", "the folder"])
@pytest.mark.parametrize("mode", [0o666, 0o664, 0o777])
def test_file_writable_by_others_is_not_run(tmp_path, loaded, what, mode):
    folder = dropin(tmp_path / "plugins", evil="raise RuntimeError('it ran')")
    (folder if what == "the folder" else folder / "evil.py").chmod(mode)
    plugins = Plugins()
    plugins.add_folder(folder)
    assert "can be written by others: chmod go-w" in record(plugins, "evil").problem


def test_a_symbolic_link_is_not_run(tmp_path):
    folder = dropin(tmp_path / "plugins", good=TIN_CAN)
    (tmp_path / "elsewhere.py").write_text("raise RuntimeError('it ran')")
    (folder / "link.py").symlink_to(tmp_path / "elsewhere.py")
    plugins = Plugins()
    plugins.add_folder(folder)
    assert "symbolic link" in record(plugins, "link").problem
    assert set(plugins.outputs) == {"tin_can"}


@pytest.mark.parametrize("name", ["nowhere", "a\0b", "file.py"])
def test_a_folder_that_cannot_be_read_is_told(tmp_path, name):
    (tmp_path / "file.py").touch()
    plugins = Plugins()
    plugins.add_folder(tmp_path / name)
    assert plugins.records[0].status is Status.BROKEN
    assert "cannot be read" in plugins.records[0].problem


# ---- by entry points ---------------------------------------------------------------------------------


@pytest.fixture
def install(tmp_path, monkeypatch, loaded):
    """Makes a package look installed: a module and the metadata that names it."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, source, target=None, metadata=True):
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        if metadata:
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[edgevoice]\n{name} = {target or name}\n")

    return install


def test_an_installed_plugin_is_found_by_its_entry_point(install):
    install("zz_can", TIN_CAN.replace("tin_can", "zz_can"))
    plugins = Plugins.load()
    assert plugins.outputs["zz_can"].__module__ == "zz_can"
    assert (record(plugins, "zz_can").origin, record(plugins, "zz_can").status) == (
        "zz_can-dist",
        Status.READY,
    )


def test_broken_installed_plugin_is_isolated(install, tmp_path):
    bundled = set(Plugins.load().transports)
    install("zz_exits", "raise SystemExit(1)")
    install("zz_gone", "", target="zz_no_such_module")
    install("zz_nothing", "", target="zz_nothing:nothing")
    install("zz_object", "thing = 5", target="zz_object:thing")
    install("zz_nameless", TIN_CAN.replace("tin_can", "zz_can"), metadata=False)
    plugins = Plugins.load(dropin(tmp_path / "plugins", good=TIN_CAN))
    for name in ("zz_exits", "zz_gone", "zz_nothing", "zz_object"):
        assert record(plugins, name).status is Status.BROKEN, name
    assert {"zz_can", "tin_can"} <= set(plugins.outputs)
    assert set(plugins.transports) == bundled


def test_the_bundled_plugins_enter_by_their_entry_points():
    plugins = Plugins.load()
    assert set(plugins.transports) >= {"http", "http_stream", "websocket", "local"}
    assert set(plugins.outputs) >= {"sound_card", "wav_file"}
    assert set(plugins.sources) >= {"mqtt"}
    assert not [each for each in plugins.records if each.status is Status.BROKEN]


def test_an_unknown_name_is_answered_with_the_nearest_or_with_why_it_is_broken(loaded):
    plugins = loaded(tin_can=TIN_CAN, fax="raise RuntimeError('no paper')")
    assert plugins.unknown("output", "tincan") == "no output is called 'tincan'; did you mean 'tin_can'?"
    assert plugins.unknown("output", "zzz") == "no output is called 'zzz'; there are: tin_can"
    assert plugins.unknown("output", "fax") == "the plugin 'fax' is broken: RuntimeError: no paper"
    assert plugins.unknown("source", "x") == "no source is called 'x'; there are none"


# ---- text filters ----

UNITS = """
from edgevoice import hookimpl

@hookimpl
def edgevoice_filter_text(text, language):
    if "boom" in text:
        raise SystemExit(text)
    if "empty" in text:
        return " "
    return text.replace("\u00b0C", " degrees" if language == "en" else " Grad")
"""
SHOUT = """
from edgevoice import hookimpl

@hookimpl
def edgevoice_filter_text(text):
    return text.upper() if "loud" in text or "degrees" in text else None
"""


def test_text_filters_run_in_order_of_names(loaded):
    plugins = loaded(a_units=UNITS, b_shout=SHOUT)
    assert record(plugins, "a_units").provides == ["text filter"]
    assert plugins.filter_text("It is 5 \u00b0C.", "en") == "IT IS 5  DEGREES."
    assert plugins.filter_text("Es sind 5\u00b0C.", "de") == "Es sind 5 Grad."
    assert plugins.filter_text("Dinner.", "en") == "Dinner."


@pytest.mark.parametrize("text", ["boom, loud", "empty, loud"])
def test_failing_text_filter_is_skipped(loaded, caplog, text):
    plugins = loaded(a_units=UNITS, b_shout=SHOUT)
    assert plugins.filter_text(text, "en") == text.upper()
    assert "a_units" in caplog.text


def test_text_filter_of_broken_plugin_is_not_used(loaded):
    plugins = loaded(
        b_shout=SHOUT + "\n@hookimpl\ndef edgevoice_register(register):\n    raise OSError('no')\n"
    )
    assert record(plugins, "b_shout").status is Status.BROKEN
    assert plugins.filter_text("loud", "en") == "loud"


def test_misspelt_text_filter_is_told(loaded):
    plugins = loaded(a_units=UNITS.replace("filter_text", "filter_txt"))
    assert "edgevoice_filter_text" in record(plugins, "a_units").problem
