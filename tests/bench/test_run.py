"""The command, for real: EdgeVoice and the reference on a private sound server, once or twice each."""

import asyncio
import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from bench.figures.findings import decode_run
from bench.rig.contestants import PEERS, REF_WS, TRANSPORTS, installed

ROOT = Path(__file__).parent.parent.parent


async def bench(*arguments):
    """Exit status, what it printed, what it said meanwhile."""
    paths = [str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench", *arguments),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_latency_row_has_every_transport_and_the_reference(tmp_path):
    status, out, err = await bench("--only", "latency", "-n", "2", "--no-peers", "--results", str(tmp_path))
    assert status == 0, err
    assert "added latency" in out
    [kept] = tmp_path.glob("*-quick.json")
    measured = decode_run(kept.read_bytes())
    [finding] = measured.findings
    assert set(finding.edgevoice) == set(TRANSPORTS)
    assert all(1 <= figure.n <= 2 for figure in finding.edgevoice.values())
    assert {*TRANSPORTS, REF_WS.name} <= set(measured.samples["latency"])
    assert all(value > 0 for value in measured.samples["latency"][REF_WS.name] if value is not None)
    assert measured.versions["edgevoice"]
    assert ET.parse(kept.with_suffix(".svg")).getroot().get("viewBox")


async def test_unknown_row_is_refused():
    status, _, err = await bench("--only", "speed")
    assert status == 2
    assert "latency" in err


def test_missing_peer_is_skipped_with_install_hint(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEVOICE_BENCH_PEERS", str(tmp_path))
    present, left_out = installed()
    assert {kind.name for kind in present} | set(left_out) == {kind.name for kind in PEERS}
    assert "bench/peers/install" in left_out["livekit"]
