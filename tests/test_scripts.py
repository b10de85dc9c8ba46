"""The scripts of the project's root, and the locked requirements they install."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
STUB = """#!/bin/bash
echo "${0##*/} $#:$(printf ' <%s>' "$@")"
[[ "$*" != *failing* && "${0##*/}" != "${FAILING:-}" ]]
"""


def pinned(name):
    """Versions by package; a package may have one for each range of Pythons."""
    versions = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([a-z0-9-]+)==([^ ]+)", line):
            versions.setdefault(match[1], set()).add(match[2])
    return versions


@pytest.fixture
def checkout(tmp_path):
    """A place with the real scripts, where every program they end in only says how it was called."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv-lowest/bin").mkdir(parents=True)
    for script in ("demo", "test"):
        shutil.copy(ROOT / "scripts" / script, tmp_path / "scripts" / script)
    for program in (
        "scripts/setup",
        ".venv/bin/edgevoice",
        ".venv/bin/python",
        ".venv/bin/ruff",
        ".venv/bin/mypy",
        ".venv/bin/codespell",
        ".venv/bin/lint-imports",
        ".venv-lowest/bin/python",
    ):
        (tmp_path / program).write_text(STUB, encoding="utf-8")
        (tmp_path / program).chmod(0o755)
    return tmp_path


def run(script, *arguments, **environ):
    done = subprocess.run(
        [script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**os.environ, **environ},
    )
    return done.returncode, done.stdout.splitlines()


def test_the_demo_hands_its_arguments_on(checkout):
    status, lines = run(checkout / "scripts/demo", "--wav", "my file.wav")
    assert status == 0
    assert lines == ["setup 1: <run>", "edgevoice 3: <demo> <--wav> <my file.wav>"]


def test_arguments_go_to_pytest_alone(checkout):
    status, lines = run(checkout / "scripts/test", "tests/test_a.py", "-k", "one or two")
    assert status == 0
    assert lines == ["setup 1: <test>", "python 5: <-m> <pytest> <tests/test_a.py> <-k> <one or two>"]


def test_without_arguments_the_linters_come_first_and_pytest_last(checkout):
    status, lines = run(checkout / "scripts/test")
    assert status == 0
    checks = [line.split()[0] for line in lines if line.endswith(": clean")]
    assert checks == ["ruff", "ruff", "mypy", "codespell:", "lint-imports"]
    assert lines[-1].startswith(
        "python 9: <-m> <pytest> <-n> <4> <--dist> <loadfile> <--cov> <--cov-fail-under=95>"
    )


def test_the_lowest_versions_have_an_environment_of_their_own(checkout):
    (checkout / ".venv/bin/python").unlink()
    status, lines = run(checkout / "scripts/test", "--lowest", "-x")
    assert status == 0
    assert lines[0] == "setup 1: <lowest>"
    assert lines[1].endswith(
        "<-m> <not long and not real_time> <tests/config> <tests/intake> <tests/plugins> <tests/test_*.py> <-x>"
    )


@pytest.mark.parametrize(
    ("failing", "runs"),
    [("", ["<--lowest>", "<>"]), ("test", ["<--lowest>", "<>"]), ("python", ["<>"]), ("setup", [])],
)
def test_ci_runs_the_oldest_and_the_locked_versions(checkout, failing, runs):
    (checkout / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", checkout / ".ci/run")
    (checkout / "scripts/test").write_text(STUB, encoding="utf-8")
    status, lines = run(checkout / ".ci/run", FAILING=failing)
    assert (status == 0) == (failing in {"", "python"})  # python: one too new for the oldest versions
    assert [line.partition(":")[2].strip() for line in lines if line.startswith("test ")] == runs


@pytest.mark.parametrize("program", ["ruff", "mypy", "codespell", "lint-imports", "python"])
def test_a_failure_of_any_of_them_is_told_by_the_exit_status(checkout, program):
    status, lines = run(checkout / "scripts/test", FAILING=program)
    assert status != 0
    assert "<pytest>" in lines[-1]


@pytest.mark.parametrize("script", ["demo", "test"])
def test_a_failed_set_up_ends_it(checkout, script):
    status, lines = run(checkout / "scripts" / script, FAILING="setup")
    assert status != 0
    assert len(lines) == 1


@pytest.mark.parametrize("script", ["demo", "test"])
def test_user_environment_is_ignored(checkout, script):
    shown = "#!/bin/bash\nenv\n"
    (checkout / ".venv/bin/edgevoice").write_text(shown, encoding="utf-8")
    (checkout / ".venv/bin/python").write_text(shown, encoding="utf-8")
    names = (
        "SMALLEST_API_KEY",
        "EDGEVOICE_CONFIG",
        "CREDENTIALS_DIRECTORY",
        "STATE_DIRECTORY",
        "NOTIFY_SOCKET",
    )
    _, lines = run(checkout / "scripts" / script, "x", **dict.fromkeys(names, "theirs"))
    assert not [line for line in lines if line.endswith("=theirs")]
    sdk = f"EDGEVOICE_SDK_PYTHON={checkout}/.venv-sdk/bin/python"
    assert (sdk in lines) == (script == "test")


def test_the_scripts_can_be_called_through_a_link(checkout, tmp_path):
    (tmp_path / "elsewhere").symlink_to(checkout / "scripts/demo")
    assert run(tmp_path / "elsewhere") == (0, ["setup 1: <run>", "edgevoice 1: <demo>"])


@pytest.mark.parametrize(
    "script", ["scripts/setup", "scripts/demo", "scripts/test", "scripts/lock", ".ci/run"]
)
def test_every_script_is_executable_and_parses(script):
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / script], check=True)


@pytest.mark.parametrize("arguments", [(), ("all",), ("run", "test")])
def test_set_up_explains_its_usage_before_it_does_anything(arguments):
    done = subprocess.run([ROOT / "scripts/setup", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "edgevoice: usage: scripts/setup run|test|lowest\n"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_requirement_is_pinned_with_hashes_and_names_no_place(lock):
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    lines = [line for line in text.replace("\\\n", "").splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9-]+==\S+ ( ?; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+$", line), line


@pytest.mark.parametrize("name", ["run", "build"])
def test_the_locks_agree_with_each_other(name):
    versions, tested = pinned(name), pinned("test")
    for package in versions.keys() & tested.keys():
        assert versions[package] == tested[package], package


def test_locked_versions_are_tested():
    assert pinned("run").keys() <= pinned("test").keys()


def test_every_dependency_of_the_project_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def names(requirements):
        found = (re.match(r"[A-Za-z0-9._-]+", one)[0].lower().replace("_", "-") for one in requirements)
        return {name for name in found if name != project["name"]}

    needed = names(project["dependencies"])
    for extra in ("audio", "systemd", "local", "demo"):
        needed |= names(extras[extra])
    assert needed <= pinned("run").keys()
    assert needed | names(extras["dev"]) <= pinned("test").keys()


def test_the_lowest_lock_holds_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    locked = pinned("lowest")
    bounded = [
        *project["dependencies"],
        *extras["audio"],
        *extras["systemd"],
        *extras["local"],
        extras["demo"][0],
    ]
    for requirement in bounded:
        name, bound = re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)", requirement).groups()
        (version,) = locked[name]
        assert version.removesuffix(".0").removesuffix(".0") == bound, requirement
