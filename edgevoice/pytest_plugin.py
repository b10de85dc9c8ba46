"""Fixtures for pytest, found by its entry point `pytest11`. Everything is imported when a fixture is used.

Not in `edgevoice.testing`, whose import loads the core: pytest would then load it at every start, before coverage begins.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgevoice.plugin import Context
    from edgevoice.testing.daemon import TestDaemon


@pytest.fixture
def edgevoice_context(tmp_path: Path) -> Context:
    """A context whose state folder is `tmp_path`."""
    from edgevoice.testing.kit import context  # noqa: PLC0415

    return context(tmp_path)


@pytest.fixture
def edgevoice_daemon(tmp_path: Path) -> Callable[..., TestDaemon]:
    """`TestDaemon` in `tmp_path`.

    For instance, `async with edgevoice_daemon({"my_voice": MyVoice}) as daemon:`.
    """
    from edgevoice.testing.daemon import TestDaemon  # noqa: PLC0415

    daemon: Any = partial(TestDaemon, tmp_path)
    return daemon  # type: ignore[no-any-return]
