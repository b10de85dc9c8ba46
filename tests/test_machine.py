"""The meter that decides whether a failed test in real time is run again."""

import os
import signal
import time

import pytest

from tests.support import machine
from tests.support.machine import Lateness, LatenessMeter, MachineTooSlow, are_too_many

pytest_plugins = ["pytester"]


@pytest.fixture
def meter():
    with LatenessMeter() as meter:
        yield meter


def test_meter_reports_a_stall_once(meter):
    os.kill(meter.child.pid, signal.SIGSTOP)
    time.sleep(0.1)
    os.kill(meter.child.pid, signal.SIGCONT)
    time.sleep(0.01)
    assert meter.read().worst_wake_s >= 0.09
    meter.reset()
    time.sleep(0.02)
    assert meter.read().worst_wake_s < 0.09


def test_meter_works_without_pressure_figures(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_PRESSURE", tmp_path / "cpu")
    with LatenessMeter() as meter:
        assert meter.read().pressure is None


def test_meter_measures_pressure(monkeypatch, tmp_path):
    figures = tmp_path / "cpu"
    figures.write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\nfull avg10=0.00 total=0\n")
    monkeypatch.setattr(machine, "_PRESSURE", figures)
    with LatenessMeter() as meter:
        figures.write_text("some avg10=9.00 avg60=0.00 avg300=0.00 total=61000000\nfull avg10=0.00 total=0\n")
        assert meter.read().pressure > 1


@pytest.mark.parametrize(
    ("lateness", "too_slow"),
    [
        (Lateness(0.001, 0.1), False),
        (Lateness(0.001, None), False),
        (Lateness(0.03, 0.0), True),
        (Lateness(0.03, None), True),
        (Lateness(0.001, 0.5), True),
    ],
)
def test_lateness_is_too_slow(lateness, too_slow):
    assert lateness.is_too_slow == too_slow


@pytest.mark.parametrize(
    ("reruns", "tests", "too_many"), [(1, 1, False), (0, 1000, False), (10, 1000, False), (11, 1000, True)]
)
def test_rerun_rate_is_limited(reruns, tests, too_many):
    assert are_too_many(reruns, tests) == too_many


TESTS = """
import pytest
from tests.support.machine import Lateness, LatenessMeter, MachineTooSlow

@pytest.fixture(autouse=True)
def machine(request, monkeypatch):
    slow = "slow" in request.node.name
    monkeypatch.setattr(LatenessMeter, "read", lambda self: Lateness(1.0 if slow else 0.0, None))

runs = []

def test_slow_once():
    runs.append(1)
    assert len(runs) > 1

def test_slow_for_good():
    assert False

def test_broken():
    assert False
"""


def test_only_a_slow_machine_causes_a_rerun(pytester, request, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    pytester.makeconftest("from tests.conftest import *")
    pytester.mkpydir("daemon").joinpath("test_it.py").write_text(TESTS)
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nasyncio_mode = 'auto'")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", f"--rootdir={pytester.path}", "daemon")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*MachineTooSlow: a sleeping process woke*", "3 reruns in 3 tests*"])
    assert issubclass(MachineTooSlow, Exception)
