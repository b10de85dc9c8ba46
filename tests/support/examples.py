"""How many examples hypothesis tries: all in the profile `ci`, a fifth of them in `dev`."""

import os
from typing import Any

from hypothesis import settings

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "dev")
SHARE = {"ci": 1.0, "dev": 0.2}[PROFILE]


def examples(count: int, **more: Any) -> settings:
    """Return settings for `count` examples, without a deadline: a busy machine is no failure."""
    return settings(deadline=None, max_examples=max(1, round(count * SHARE)), **more)
