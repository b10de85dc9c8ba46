"""The test kit for plugins: a context without a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgevoice.plugin import Context

if TYPE_CHECKING:
    from pathlib import Path


def context(state_dir: Path, **overrides: Any) -> Context:
    """Return a context as the daemon would give it, with one speaker, `kitchen`.

    Args:
        state_dir: The state folder, such as pytest's `tmp_path`.
        overrides: Any field of `Context`.
    """
    given: dict[str, Any] = {
        "node": "testnode",
        "speakers": ("kitchen",),
        "targets": frozenset({"kitchen", "all"}),
        "speaker": "kitchen",
        **overrides,
    }
    return Context(state_dir=state_dir, **given)
