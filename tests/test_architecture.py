"""Rules of the house that a reader can rely on: who imports whom, and how long a file may be."""

import ast
import dataclasses
from pathlib import Path

import aiohttp
import pytest

import edgevoice

CORE = Path(edgevoice.__file__).parent
FILES = sorted(CORE.rglob("*.py"))
PLUGINS = CORE.parent / "plugins"
SOURCES = [*FILES, *sorted((PLUGINS / "edgevoice_plugins").rglob("*.py"))]
#: A longer file says in its docstring why it is one: with a line that begins with "Length:".
LINES_WITHOUT_A_REASON = 400


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def is_under(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_core_files_are_found():
    assert {"daemon.py", "clip.py", "options.py"} <= {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CORE)))
def test_the_core_imports_no_plugin(file):
    assert not [name for name in imported(file) if is_under(name, "edgevoice_plugins")]
    assert "edgevoice_plugins" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "module",
    [
        "intake/payload",
        "text/checks",
        "synthesis/routing",
        "synthesis/latency",
        "scheduler/scheduler",
        "text/sentences",
        "audio/gain",
        "config/__init__",
    ],
)
def test_decisions_know_nothing_of_the_event_loop(module):
    seen, left = set(), {CORE / f"{module}.py"}
    while left:
        file = left.pop()
        seen.add(file)
        assert not [name for name in runtime_imports(file) if is_under(name, "asyncio")], file
        for name in runtime_imports(file):
            path = CORE.parent / f"{name.replace('.', '/')}.py"
            if is_under(name, "edgevoice") and path.exists() and path not in seen:
                left.add(path)


def runtime_imports(file: Path) -> set[str]:
    """Return the imports of a module, without those for type checkers only."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CORE)))
def test_modules_have_docstrings(file):
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":"))


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(CORE.parent)))
def test_a_long_file_says_why(file):
    text = file.read_text(encoding="utf-8")
    if text.count("\n") > LINES_WITHOUT_A_REASON:
        docstring = ast.get_docstring(ast.parse(text)) or ""
        assert any(line.startswith("Length:") for line in docstring.splitlines())


def test_public_names_match_all():
    assert sorted(edgevoice.__all__) == sorted(set(edgevoice.__all__))
    for name in edgevoice.__all__:
        assert getattr(edgevoice, name) is not None
    public = {
        name
        for name, value in vars(edgevoice).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("edgevoice.")
    }
    assert public <= set(edgevoice.__all__)
    assert {"Source", "Transport", "Output", "Observer", "hookimpl", "Context"} <= set(edgevoice.__all__)


#: Classes of dependencies that are not made to be subclassed.
NOT_A_BASE = {"ClientRequest", "ClientResponse", "SSLContext", "TCPConnector", "ResponseHandler"}


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(CORE.parent)))
def test_private_api_of_dependencies_is_not_used(file):
    """Defect 9.23: each use breaks in some minor release. ruff (SLF001) finds private attributes of objects."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names]
            private = [name for name in names if any(is_private(part) for part in name.split("."))]
            assert not [name for name in private if not names[0].startswith("edgevoice")], node.lineno
            assert not [name for name in names if is_under(name, "aiohttp") and not is_public(name)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "aiohttp":
                assert is_public(f"aiohttp.{node.attr}"), node.lineno
        elif isinstance(node, ast.ClassDef):
            bases = {
                base.attr if isinstance(base, ast.Attribute) else ast.unparse(base) for base in node.bases
            }
            assert not bases & NOT_A_BASE, node.lineno


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def is_public(name: str) -> bool:
    """Return whether aiohttp documents a name: its modules `web` and `typedefs`, and what it exports."""
    return name == "aiohttp" or name.split(".")[1] in {*aiohttp.__all__, "web", "typedefs", "test_utils"}


def test_context_of_plugins_holds_no_secret():
    """Defect 9.22: every plugin was given the API key."""
    names = {field.name for field in dataclasses.fields(edgevoice.Context)}
    assert not [name for name in names if "key" in name or "secret" in name or "lightning" in name]
