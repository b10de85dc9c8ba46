"""One announcement on one speaker: how far it was heard, when, and what is told of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgevoice.outcome import Event, Milliseconds, Step

if TYPE_CHECKING:
    from edgevoice.speech import Speech


class Turn:
    """Its place in the backlog and its progress; all times are monotonic seconds.

    `position` is the frame of the clip up to which it was heard. `due` is when it may be said, `deadline`
    by when its first sound, or its going on, has to come. `cut` in mid-speech, it goes back to a pause. It is `parked` while live text that fell silent
    waits for more. `round` counts the rounds of an alert that insists.
    """

    def __init__(self, speech: Speech, speaker: str, number: int, volume: int) -> None:
        self.speech = speech
        self.announcement = speech.announcement
        self.speaker = speaker
        self.number = number
        self.volume = volume
        self.position = 0
        self.due = speech.announcement.due
        self.deadline: float | None = speech.announcement.expires
        self.first_sound: float | None = None
        self.first_speech: float | None = None
        self.done: float | None = None
        self.interruption = 0
        self.parked = False
        self.cut = False
        self.round = 1
        self.error: Exception | None = None
        self._held_at: float | None = None
        speech.join()

    @property
    def started(self) -> bool:
        """Whether anything of it was handed to the output."""
        return self.first_sound is not None

    @property
    def order(self) -> tuple[int, int, int]:
        """Most urgent first; within one urgency the interrupted, the last of them first; then the oldest."""
        return -self.announcement.urgency.rank, -self.interruption, self.number

    @property
    def held_at(self) -> float | None:
        """Since when it is held; None while it is not."""
        return self._held_at

    def hold(self, now: float) -> None:
        """Its ttl stands still from here on."""
        self._held_at = now

    def release(self, now: float) -> None:
        """Its ttl goes on."""
        if self._held_at is not None and self.deadline is not None:
            self.deadline += now - self._held_at
        self._held_at = None

    def interrupted(self, number: int, now: float) -> None:
        """It was cut; it waits its ttl again at most."""
        self.interruption = number
        self.deadline = now + self.announcement.ttl
        self.done = None

    def again(self, due: float) -> None:
        """The next round, from the start; the ttl counted for the first alone."""
        self.round += 1
        self.position = self.interruption = 0
        self.due, self.deadline, self.done = due, None, None

    def event(self, step: Step, reason: str | None = None) -> Event:
        """The event of a step, now."""
        announcement, speech = self.announcement, self.speech
        return Event(
            event_type=step,
            id=announcement.id,
            speaker=self.speaker,
            target=announcement.target,
            at=datetime.now(UTC),
            urgency=announcement.urgency,
            tag=announcement.tag,
            reason=reason,
            repeated=announcement.repeated,
            warnings=announcement.warnings + (announcement.live.warnings if announcement.live else ()),
            transport=speech.transport,
            why=speech.decision.why if speech.decision else None,
            attempts=tuple(speech.attempts),
            ms=self._ms(),
            spoken_s=round(self.position / speech.clip.rate, 3) if self.started else None,
            volume=self.volume,
            round=self.round if step is Step.STARTED else None,
        )

    def _ms(self) -> Milliseconds:
        speech = self.speech
        return Milliseconds(
            queued=self._since_arrival(speech.asked_at),
            first_audio=self._since_arrival(speech.first_audio_at),
            first_sound=self._since_arrival(self.first_sound),
            first_speech=self._since_arrival(self.first_speech),
            total=self._since_arrival(self.done),
        )

    def _since_arrival(self, moment: float | None) -> int | None:
        return None if moment is None else max(0, round((moment - self.announcement.arrived) * 1000))
