"""The last announcements, and the clips of a few of them, so that they can be played again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from edgevoice.announcement import Announcement
    from edgevoice.synthesis.synthesizer import SpeechJob

#: Announcements that can be played again.
MAX_REPLAYABLE = 20
#: The newest of them whose clips are kept; an older one is synthesized again.
MAX_KEPT_CLIPS = 5


class ReplayHistory:
    """The last announcements of this node. The caller adds no private ones."""

    def __init__(self, new_job: Callable[[Announcement], SpeechJob]) -> None:
        self._new_job = new_job
        self._jobs: deque[SpeechJob] = deque(maxlen=MAX_REPLAYABLE)
        self._kept: deque[SpeechJob] = deque()

    def add(self, job: SpeechJob) -> None:
        """Add an announcement that is being played, and keep its clip."""
        job.keep()
        self._jobs.append(job)
        self._kept.append(job)
        while len(self._kept) > MAX_KEPT_CLIPS:
            self._kept.popleft().release()

    def last(self, count: int, targets: Collection[str]) -> list[SpeechJob]:
        """Return the last ones whose target is one of `targets`, the oldest first."""
        return [job for job in self._jobs if job.announcement.target in targets][-count:]

    def again(self, job: SpeechJob, announcement: Announcement) -> SpeechJob:
        """Return a job for `announcement` that plays the same clip, or synthesizes it again if it is closed."""
        return job.replayed(announcement) if job.can_replay else self._new_job(announcement)

    def close(self) -> None:
        """Release all clips."""
        while self._kept:
            self._kept.popleft().release()
