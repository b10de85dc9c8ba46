"""The last announcements, for `replay`, and the clips of a few of them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from edgevoice.announcement import Announcement
    from edgevoice.audio.clip import Clip
    from edgevoice.synthesis.speech import SpeechJob

MAX_REPLAYABLE = 20
#: Clips that are kept for a replay; an older announcement is synthesized again.
MAX_KEPT_CLIPS = 5


class ReplayHistory:
    """The last announcements of this node, without private ones."""

    def __init__(self, speech_of: Callable[[Announcement], SpeechJob]) -> None:
        self._speech_of = speech_of
        self._speeches: deque[SpeechJob] = deque(maxlen=MAX_REPLAYABLE)
        self._kept: deque[Clip] = deque()
        self._in_use: list[Clip] = []

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
        while self._kept:
            self._close(self._kept.popleft())

    def _keep(self, speech: SpeechJob) -> None:
        if not (speech.clip.complete and speech.clip.frames):
            speech.clip.close()
            return
        self._kept.append(speech.clip)
        while len(self._kept) > MAX_KEPT_CLIPS:
            self._close(self._kept.popleft())

    def _release(self, speech: SpeechJob) -> None:
        self._in_use.remove(speech.clip)
        if speech.clip not in self._kept:
            self._close(speech.clip)

    def _close(self, clip: Clip) -> None:
        if clip not in self._in_use:
            clip.close()
