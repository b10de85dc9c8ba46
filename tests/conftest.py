"""Fixtures for every test: a broker, a Lightning server, a sound server; isolated from the user's environment."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support.broker import Broker
from tests.support.examples import examples
from tests.support.lightning import LightningServer
from tests.support.machine import (
    RERUN_LIMIT,
    RERUN_LIMIT_MIN_TESTS,
    LatenessMeter,
    MachineTooSlow,
    are_too_many,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator


#: Tests in folders whose names begin so listen to sound as it is played, or give child processes short timeouts.
IN_REAL_TIME = ("daemon", "sound_card", "local_voice")
RERUNS = 2
METER = pytest.StashKey[LatenessMeter]()

settings.register_profile("tests", examples(500), print_blob=True)
settings.load_profile("tests")


def is_in_real_time(item: pytest.Item) -> bool:
    parts = item.path.relative_to(item.config.rootpath).parts
    return any(part.startswith(IN_REAL_TIME) for part in parts)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_in_real_time(item):
            item.add_marker(pytest.mark.real_time)
            item.add_marker(pytest.mark.flaky(reruns=RERUNS, only_rerun=[MachineTooSlow]))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Name the machine as the cause of a failure, if it was too slow while a test in real time ran."""
    if pyfuncitem.get_closest_marker("real_time") is None:
        return (yield)
    stash = pyfuncitem.config.stash
    if METER not in stash:
        stash[METER] = LatenessMeter().__enter__()
        pyfuncitem.config.add_cleanup(stash[METER].__exit__)
    stash[METER].reset()
    try:
        return (yield)
    except (Exception, pytest.fail.Exception) as error:
        lateness = stash[METER].read()
        if lateness.is_too_slow:
            raise MachineTooSlow(str(lateness)) from error
        raise


def reruns_and_tests(config: pytest.Config) -> tuple[int, int]:
    stats = config.pluginmanager.get_plugin("terminalreporter").stats
    ended = ("passed", "failed", "skipped", "xfailed", "xpassed")
    return len(stats.get("rerun", ())), sum(len(stats.get(kind, ())) for kind in ended)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.pluginmanager.has_plugin("terminalreporter") and are_too_many(
        *reruns_and_tests(session.config)
    ):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reruns, tests = reruns_and_tests(config)
    if reruns or tests >= RERUN_LIMIT_MIN_TESTS:
        verdict = f"; more than {RERUN_LIMIT:.0%} fails the run" if are_too_many(reruns, tests) else ""
        terminalreporter.write_line(
            f"{reruns} reruns in {tests} tests ({reruns / max(tests, 1):.1%}) on a machine too slow{verdict}"
        )


if sys.version_info < (3, 12, 2):

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Format a failure without garbage collection.

        In older versions of Python `ast.parse` is not reentrant: a finalizer that parses source while a
        traceback is formatted ends the whole run with "AST constructor recursion depth mismatch"
        (python/cpython#106905).
        """
        gc.disable()
        try:
            return (yield)
        finally:
            gc.enable()


@pytest.fixture(autouse=True)
def _nothing_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SMALLEST_API_KEY", "EDGEVOICE_CONFIG", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """A real mosquitto, shared by the tests of one module."""
    with Broker() as broker:
        yield broker


@pytest.fixture
async def lightning() -> AsyncIterator[LightningServer]:
    """A Lightning server whose speech is known."""
    async with LightningServer() as server:
        yield server
