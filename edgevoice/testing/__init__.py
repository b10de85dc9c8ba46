"""The test kit for plugin authors: contexts, fakes, a whole daemon, and the conformance suites.

    from edgevoice.testing import check_output, context, play

pytest finds the fixtures `edgevoice_context` and `edgevoice_daemon` by itself. plugins/README.md shows both.
"""

from edgevoice.testing.conformance import (
    check_observer,
    check_output,
    check_source,
    check_transport,
)
from edgevoice.testing.daemon import TestDaemon, ToneTransport
from edgevoice.testing.kit import (
    FakeClock,
    RecordingProgress,
    chunks,
    context,
    make,
    play,
    run_source,
    synthesize,
    tone,
)

__all__ = [
    "FakeClock",
    "RecordingProgress",
    "TestDaemon",
    "ToneTransport",
    "check_observer",
    "check_output",
    "check_source",
    "check_transport",
    "chunks",
    "context",
    "make",
    "play",
    "run_source",
    "synthesize",
    "tone",
]
