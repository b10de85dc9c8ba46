"""One announcement on one speaker: its place, how far it was heard, when, and what is told of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgevoice.outcome import Event, EventType, Timings

if TYPE_CHECKING:
    from edgevoice.announcement import Announcement
    from edgevoice.synthesis.speech import SpeechJob


class Turn:
    """Its place among the others and its progress; all times are monotonic seconds.

    `position` is the frame of the clip up to which it was heard, `resumed_at` the one from which on it is
    heard since it last went on. `due` is when it may be said, `deadline` by when its first sound, or its
    going on, has to come. It `sounds` from the first sample of chime or speech until it is cut or has ended.
    `cut` in mid-speech, it goes back to a pause; it is `parked` while live text that fell silent waits for
    more. It is heard `since` a moment of the wall clock. `round` counts the rounds of an alert that insists. `superseded_by` is a newer one of its tag that
    came while it was being said, `interrupted_by` what is said in its place, `read_by` the digest that reads
    it. What is the daemon's `own` is never held.
    """

    def __init__(
        self, speech: SpeechJob, speaker: str, number: int, volume: int, *, own: bool = False
    ) -> None:
        self.speech = speech
        self.announcement = speech.announcement
        self.speaker = speaker
        self.number = number
        self.volume = volume
        self.own = own
        self.position = self.resumed_at = 0
        self.due = speech.announcement.due
        self.deadline: float | None = speech.announcement.expires
        self.first_sound: float | None = None
        self.first_speech: float | None = None
        self.done: float | None = None
        self.precedence = 0
        self.round = 1
        self.sounds = self.interrupted = self.parked = self.cut = False
        self.outcome: EventType | None = None
        self.superseded_by: Announcement | None = None
        self.interrupted_by: Turn | None = None
        self.read_by: Turn | None = None
        self.error: Exception | None = None
        self.held_at: float | None = None
        self.since = datetime.now(UTC)
        self._farthest = self._earlier = 0
        speech.join()

    @property
    def started(self) -> bool:
        """Whether anything of it was ever handed to the output."""
        return self.first_sound is not None

    @property
    def ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self.outcome is not None

    @property
    def order(self) -> tuple[int, int, int]:
        """Most urgent first; within one urgency the interrupted, the last of them first; then the oldest."""
        return -self.announcement.urgency.rank, -self.precedence, self.number

    @property
    def heard_s(self) -> float:
        """Seconds for which its speech was heard, over all rounds."""
        return (self._earlier + self.position) / self.speech.clip.rate

    @property
    def left_s(self) -> float:
        """Seconds of its speech that are made and not yet heard."""
        return max(0.0, self.speech.clip.seconds - self.position / self.speech.clip.rate)

    def hold(self, now: float) -> None:
        """Its ttl stands still from here on."""
        self.held_at = now

    def release(self, now: float) -> None:
        """Its ttl goes on."""
        if self.held_at is not None and self.deadline is not None:
            self.deadline += now - self.held_at
        self.held_at = None

    def sound(self, now: float) -> None:
        """The first sample since it was taken up was handed over: what has begun is finished."""
        self.first_sound = now if self.first_sound is None else self.first_sound
        self.deadline, self.sounds, self.since = None, True, datetime.now(UTC)

    def heard(self, frame: int) -> None:
        """It was heard up to a frame of its clip."""
        self.position = max(self.position, frame)
        self._farthest = max(self._farthest, frame)

    def interrupt(self, precedence: int, now: float) -> None:
        """It was cut; it waits its ttl again at most, before those that were interrupted earlier."""
        self.interrupted, self.sounds = True, False
        self.precedence = precedence
        self.deadline = now + self.announcement.ttl
        # Fallen silent, or cut again before anything more was heard, it is where it has to go on already.
        self.cut = not self.parked and (self.cut or self.position > self.resumed_at)
        self.resumed_at = self.position if self.parked else self.resumed_at

    def resume(self, frame: int) -> None:
        """It goes on from a frame."""
        self.position = self.resumed_at = frame
        self.cut = False

    def again(self, due: float) -> None:
        """The next round, from the start; the ttl counted for the first alone."""
        self._earlier += self.position
        self.round += 1
        self.position = self.resumed_at = self.precedence = 0
        self.sounds = self.interrupted = self.cut = False
        self.due, self.deadline = due, None

    def event(self, step: EventType, reason: str | None = None) -> Event:
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
            cached=speech.cached,
            attempts=tuple(speech.attempts),
            ms=self._ms(),
            spoken_s=round(self._farthest / speech.clip.rate, 3) if self.started else None,
            volume=self.volume,
            round=self.round if step is EventType.STARTED else None,
        )

    def _ms(self) -> Timings:
        speech = self.speech
        return Timings(
            queued=self._since_arrival(speech.requested_at),
            first_audio=self._since_arrival(speech.first_audio_at),
            first_sound=self._since_arrival(self.first_sound),
            first_speech=self._since_arrival(self.first_speech),
            total=self._since_arrival(self.done),
        )

    def _since_arrival(self, moment: float | None) -> int | None:
        return (
            None if moment is None else max(0, round((moment - self.announcement.received_monotonic) * 1000))
        )
