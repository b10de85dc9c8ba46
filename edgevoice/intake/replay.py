<<<<<<< HEAD
"""The last announcements, and the clips of a few of them, so that they can be played again."""
=======
"""The last announcements, for `replay`, and the clips of a few of them."""
>>>>>>> api

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from edgevoice.announcement import Announcement
    from edgevoice.synthesis.speech import SpeechJob

#: Announcements that can be played again.
MAX_REPLAYABLE = 20
<<<<<<< HEAD
#: The newest of them whose clips are kept; an older one is synthesized again.
=======
#: Clips that are kept for a replay; an older announcement is synthesized again.
>>>>>>> api
MAX_KEPT_CLIPS = 5


class ReplayHistory:
<<<<<<< HEAD
    """The last announcements of this node. The caller adds no private ones."""
=======
    """The last announcements of this node, without private ones."""
>>>>>>> api

    def __init__(self, new_job: Callable[[Announcement], SpeechJob]) -> None:
        self._new_job = new_job
        self._jobs: deque[SpeechJob] = deque(maxlen=MAX_REPLAYABLE)
        self._kept: deque[SpeechJob] = deque()

<<<<<<< HEAD
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
=======
    def add(self, speech: SpeechJob) -> None:
        """Remember a job. Its clip is kept once no speaker uses it any more."""
        speech.on_unused = self._keep
        self._speeches.append(speech)

    def last(self, count: int, targets: Collection[str]) -> list[SpeechJob]:
        """Return the last `count` jobs for one of `targets`, the oldest first."""
        return [speech for speech in self._speeches if speech.announcement.target in targets][-count:]

    def again(self, speech: SpeechJob, announcement: Announcement) -> SpeechJob:
        """Return the job of `announcement`, which repeats `speech`: without a request, if the clip is still kept."""
        if speech.clip not in self._kept and speech.clip not in self._in_use:
            return self._speech_of(announcement)
        self._in_use.append(speech.clip)
        replayed = speech.replayed(announcement)
        replayed.on_unused = self._release
        return replayed

    def close(self) -> None:
        """Close all clips."""
>>>>>>> api
        while self._kept:
            self._kept.popleft().release()
