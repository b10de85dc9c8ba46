"""The documentation says what is so: its links, commands and configuration are held against the code."""

from __future__ import annotations

import os
import re
from itertools import chain
from pathlib import Path

import click

import edgevoice
from edgevoice.cli import edgevoice as command_line
from edgevoice.config import settings_from
from tests.support.pages import PLUGINS, README, ROOT, blocks, pages, shell_lines, without_fences

DECISIONS = ROOT / "docs" / "decisions"
CODE = ("edgevoice", "plugins", "bench", "tests")
ABSENT_COMMANDS = {"doctor"}
REGISTRIES = ("pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "crates" + ".io", "golang" + ".org")


def test_every_relative_link_leads_somewhere():
    for page in pages():
        links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", without_fences(page))
        for link in links:
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page}: {link} leads nowhere"


def test_every_decision_is_in_the_index():
    index = (DECISIONS / "README.md").read_text()
    for page in DECISIONS.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, f"{page.name} is not in the index"


def test_no_file_names_the_host_of_a_package_registry():
    folders = (
        "edgevoice",
        "plugins",
        "config",
        "docs",
        "requirements",
        "scripts",
        "systemd",
        "tests",
        "bench",
        ".ci",
    )
    files = chain(ROOT.glob("*.*"), *((ROOT / folder).rglob("*") for folder in folders))
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            text = file.read_text(errors="replace")
            assert not [host for host in REGISTRIES if host in text], file


def commands() -> dict[str, click.Command]:
    assert isinstance(command_line, click.Group)
    context = click.Context(command_line)
    found = {name: command_line.get_command(context, name) for name in command_line.list_commands(context)}
    return {name: command for name, command in found.items() if command}


def test_every_command_is_in_the_readme():
    readme = README.read_text()
    table = re.findall(r"^\| (`edgevoice .*?) \|", readme, re.MULTILINE)
    named = set(re.findall(r"`(?:edgevoice )?([a-z-]+)", " ".join(table)))
    assert named == set(commands())
    assert all(f"`edgevoice {name}`" in readme for name in ABSENT_COMMANDS)


def test_every_command_that_a_page_shows_exists_with_its_options():
    known = commands()
    for page, words in shell_lines():
        if not words or Path(words[0]).name != "edgevoice" or words[0].startswith("-"):
            continue
        assert words[1] in known, f"{page}: edgevoice {words[1]}"
        options = {option for parameter in known[words[1]].params for option in parameter.opts}
        assert {word for word in words[2:] if word.startswith("--")} <= options, f"{page}: {words}"


def test_no_page_speaks_of_a_command_that_does_not_exist():
    for page in pages():
        if page.is_relative_to(ROOT / "bench"):
            continue
        spoken = set(re.findall(r"`edgevoice ([a-z][a-z-]*)", page.read_text()))
        assert spoken <= {*commands(), *ABSENT_COMMANDS}, page


def test_the_scripts_of_the_readme_can_be_run():
    scripts = {
        words[0]
        for page, words in shell_lines()
        if page == README and words and words[0].startswith("scripts/")
    }
    assert scripts == {"scripts/demo", "scripts/test"}
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK), script


def test_the_configuration_of_the_readme_loads(tmp_path):
    key = tmp_path / "api_key"
    key.write_text("sk_of_nobody")
    first, lightning = (text for text in blocks(README, "yaml") if "notify" not in text)
    settings = settings_from(first + lightning.replace("/etc/edgevoice/api_key", str(key)))
    assert set(settings.core.speakers) == {"kitchen"}
    assert settings.warnings == ()


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 150


def test_missing_features_are_named():
    [limits] = re.findall(r"^## More.*", README.read_text(), re.MULTILINE | re.DOTALL)
    assert "`edgevoice doctor`" in limits
    assert "doctor" not in command_line.commands


def test_the_page_of_plugins_names_all_that_can_be_imported():
    page = PLUGINS.read_text()
    for name in edgevoice.__all__:
        assert name == "__version__" or f"`{name}`" in page, name


def test_modules_named_in_the_documentation_exist():
    """Defect 9.24: a decision named a module that was gone."""
    tracked = [str(file.relative_to(ROOT)) for folder in CODE for file in (ROOT / folder).rglob("*.py")]
    for page in pages():
        for name in re.findall(r"`([\w/]+\.py)`", page.read_text()):
            assert any(f"/{file}".endswith(f"/{name}") for file in tracked), f"{page}: there is no {name}"


def test_marks_of_the_configuration_are_in_use():
    """Defect 9.24: the file explained a mark that no option bore."""
    text = (ROOT / "config" / "edgevoice.yaml").read_text()
    for mark in set(re.findall(r"\[not [a-z]+\]", text)):
        assert text.count(mark) > 1, f"{mark} is explained, and no option bears it"
