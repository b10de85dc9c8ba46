"""A package of plugins, written from the guide alone, installed into a fresh environment without a network."""

import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "package"


def run(*command, cwd, timeout=300):
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh environment with EdgeVoice and its dependencies, which come from the running one."""
    folder = tmp_path_factory.mktemp("author")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    [packages] = (folder / "venv").glob("lib/python*/site-packages")
    # A path in a .pth file gives the dependencies, but not the development install beside them.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    source = folder / "edgevoice"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "bench")
    shutil.copytree(ROOT, source, ignore=ignored)
    install(python, source)
    return python


def install(python, folder):
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-index"]
    run(*pip, "--no-deps", "--no-build-isolation", "--ignore-installed", str(folder), cwd=folder)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("package", "name"), [(PACKAGE, "author"), (ROOT / "plugins" / "template", "example")]
)
def test_package_of_an_author_works(environment, tmp_path, package, name):
    copy = tmp_path / "package"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    install(environment, copy)
    assert name in run(str(environment.parent / "edgevoice"), "plugins", cwd=tmp_path)
    shutil.rmtree(copy / "build", ignore_errors=True)
    tests = shutil.move(copy / "tests", tmp_path / "tests")  # so that the installed module is imported
    out = run(str(environment), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests), cwd=tmp_path)
    assert "passed" in out


@pytest.mark.long
@pytest.mark.timeout(600)
def test_package_of_an_author_has_types(environment, tmp_path):
    """`py.typed` is installed: mypy checks the author's code against the real API."""
    [marker] = environment.parents[1].glob("lib/python*/site-packages/edgevoice/py.typed")
    assert marker.exists()
    command = [str(environment), "-m", "mypy", "--strict", "--no-incremental", "--follow-imports=silent"]
    assert "no issues" in run(*command, str(PACKAGE / "edgevoice_author.py"), cwd=tmp_path)
