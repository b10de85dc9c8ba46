"""The scheduler of one speaker: which announcement is played, what it interrupts, and how each ends.

A state machine without I/O, loop or callback, in the manner of websockets' sans-I/O protocol: every input
(`submit`, a command, `playback`, `tick`, `start_next`) returns the actions that follow from it, to be
executed in their order. The speaker tells it what the player did; the states of an item are drawn in
`edgevoice.scheduler.item`.

Length: the rules of one queue act on each other (a tag replaces what is held, a digest ends
what it read, an interruption overflows the queue), and cutting them apart hid that in version 0.1.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency, internal_announcement
from edgevoice.outcome import EventType
from edgevoice.priority import Priority
from edgevoice.scheduler import actions as act
from edgevoice.scheduler import digest
from edgevoice.scheduler.actions import Admission
from edgevoice.scheduler.item import QueueItem, Status
from edgevoice.scheduler.outcomes import OutcomeLog
from edgevoice.scheduler.policy import HoldState, Preemption, is_update, next_gap, preemption_for, replaces
from edgevoice.scheduler.queue import HeldQueue, ReadyQueue
from edgevoice.text import messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edgevoice.announcement import Announcement, RepeatPolicy
    from edgevoice.scheduler.actions import Action, PlaybackEvent
    from edgevoice.scheduler.settings import SpeakerSettings


@dataclass(frozen=True, slots=True)
class StopRequest:
    """The end of the item that is being stopped: an outcome, or INTERRUPTED (`by` another) or HELD."""

    type: EventType
    reason: str | None = None
    by: QueueItem | None = None


@dataclass(slots=True)
class NowPlaying:
    """The item that the player has."""

    item: QueueItem
    stop: StopRequest | None = None
    #: A more urgent item waits for the next pause.
    wants_pause: bool = False
    #: The player was told to look for that pause.
    looks_for_pause: bool = False
    #: Live text fell silent.
    is_starved: bool = False
    #: The player was told to end after what was written, so that others can play.
    is_parking: bool = False

    @property
    def is_audible(self) -> bool:
        return self.item.status is Status.PLAYING


class Scheduler:
    """The scheduler of the speaker `name`. Times are monotonic seconds."""

    def __init__(self, name: str, settings: SpeakerSettings) -> None:
        self._name = name
        self._settings = settings
        self._ready = ReadyQueue(settings.policy.queue)
        self._held = HeldQueue(settings.policy.digest_keep, settings.policy.queue)
        self._outcomes = OutcomeLog()
        self._hold_state = HoldState()
        self._playing: NowPlaying | None = None
        self._digests: list[QueueItem] = []
        #: Items that were displaced and wait for the one that is started in their place.
        self._displaced: list[QueueItem] = []
        self._sequence = itertools.count(1)
        self._closed = False
        self._actions: list[Action] = []

    # Queries

    @property
    def playing(self) -> QueueItem | None:
        """The item that is starting or playing."""
        return self._playing.item if self._playing is not None else None

    @property
    def waiting(self) -> list[QueueItem]:
        """The items of the ready queue, in order."""
        return list(self._ready)

    @property
    def held(self) -> list[QueueItem]:
        return list(self._held)

    @property
    def queue_length(self) -> int:
        return len(self._ready)

    @property
    def held_length(self) -> int:
        return len(self._held)

    @property
    def hold_state(self) -> HoldState:
        """Which of mute, do not disturb and quiet hours were on at the last input."""
        return self._hold_state

    def admission(self, announcement: Announcement, now: float) -> Admission:
        """Return what would become of an announcement that is submitted now."""
        if self._is_duplicate(announcement.id, now):
            return Admission.DUPLICATE
        return Admission.COALESCED if self._coalesces(announcement) else Admission.QUEUED

    def find(self, what: str) -> list[QueueItem]:
        """Return the items that `stop` would end.

        What is playing and all it interrupted (""), everything ("all"), those with this id, else with this tag.
        """
        items = self._all_items
        if what == "":
            return _with_interrupted(self.playing, items)
        if what == "all":
            return items
        by_id = [item for item in items if item.announcement.id == what]
        return by_id or [item for item in items if item.announcement.tag == what]

    def find_repeating(self, what: str) -> list[QueueItem]:
        """Return the items that `acknowledge` would end: every repeating alert (""), or the one with this id."""
        return [
            item
            for item in self._all_items
            if item.announcement.repeat is not None and what in ("", item.announcement.id)
        ]

    def next_wakeup(self, now: float) -> float | None:
        """Return a moment before which `tick` would change nothing, except for the start of quiet hours."""
        moments = [self._ready.next_change(), self._held.next_change(), self._settings.next_change(now)]
        playing = self._playing
        if playing is not None and playing.stop is None and not playing.is_audible:
            moments.append(playing.item.deadline)
        return min((moment for moment in moments if moment is not None), default=None)

    # Inputs

    def submit(
        self,
        announcement: Announcement,
        now: float,
        *,
        deadline: float | None = None,
        held_since: float | None = None,
    ) -> list[Action]:
        """Accept an announcement. From here on it ends in exactly one outcome, unless it is a duplicate.

        `deadline` takes the place of the announcement's own after a restart, since its ttl may have stood
        still on this speaker, and does so since `held_since`.
        """
        self._reevaluate(now)
        item = self._new_item(announcement, now)
        if deadline is not None:
            item.deadline = deadline
        item.held_since = held_since
        admission = self.admission(announcement, now)
        if admission is Admission.DUPLICATE:
            self._reject_duplicate(item)
            return self._flush(now)
        self._emit(item, EventType.QUEUED)
        if admission is Admission.COALESCED:
            self._finish(item, EventType.REPLACED, "the same is being said", now)
            return self._flush(now)
        playing = self.playing
        if playing is not None and is_update(announcement, playing.announcement):
            item.precedence = next(self._sequence)  # it is said next
        if playing is not None and replaces(announcement, playing.announcement):
            playing.superseded_by = announcement
        self._replace_tagged(item, now)
        self._enqueue_or_hold(item, now)
        self._check_preemption(now)
        return self._flush(now)

    def refuse(self, announcement: Announcement, reason: str, now: float) -> list[Action]:
        """End an announcement as suppressed before it is queued; a duplicate has its outcome already."""
        item = self._new_item(announcement, now)
        if self._is_duplicate(announcement.id, now):
            self._reject_duplicate(item)
        else:
            self._finish(item, EventType.SUPPRESSED, reason, now)
        return self._flush(now)

    def stop(self, what: str, now: float) -> list[Action]:
        """End what `find` returns."""
        self._end(self.find(what), EventType.CANCELLED, "stop", now)
        return self._flush(now)

    def acknowledge(self, what: str, now: float) -> list[Action]:
        """End what `find_repeating` returns."""
        self._end(self.find_repeating(what), EventType.FINISHED, "acknowledged", now)
        return self._flush(now)

    def read_digest(self, now: float) -> list[Action]:
        """Read the held items now, as many as one digest takes."""
        self._read_digest(now)
        return self._flush(now)

    def apply_setting(self, name: str, value: str, now: float) -> list[Action]:
        """Set the volume, mute or do not disturb.

        Raises:
            InvalidAnnouncement: the value is not allowed.
        """
        self._settings.apply(name, value, now)
        return self.tick(now)

    def tick(self, now: float) -> list[Action]:
        """Find out what time has changed: quiet hours, do not disturb, due times and deadlines."""
        self._ready.follow_clock(now, self._settings.local_now())
        self._reevaluate(now)
        return self._flush(now)

    def start_next(self, now: float) -> list[Action]:
        """Start the next item; to be called when the player is free."""
        self._reevaluate(now)
        item = self._ready.first(now) if self._playing is None else None
        if item is not None:
            self._start(item, now)
        return self._flush(now)

    def restore_finished(self, until: Mapping[str, float]) -> None:
        """Take over the ids that finished before a restart, and until when each is remembered."""
        self._outcomes.restore(until)

    def close(self, now: float) -> list[Action]:
        """Accept nothing more. What waits or is held is kept for the next start, or else failed."""
        self._closed = True
        for item in [*self._ready.pop_if(lambda _: True), *self._held.pop_if(lambda _: True)]:
            self._abandon(item, now)
        return self._flush(now)

    def abort(self, now: float) -> list[Action]:
        """Stop the playing item because the daemon ends; after `close`."""
        self._request_stop(EventType.FAILED, "restart")
        return self._flush(now)

    def playback(self, event: PlaybackEvent, now: float) -> list[Action]:
        """Take an event of the player; one of an item that it does not play any more has no effect."""
        item, playing = event.item, self._playing
        if isinstance(event, act.Synthesized):
            item.progress.synthesized_s = event.seconds
        elif isinstance(event, act.TextArrived):
            self._unpark(item, now)
        elif playing is None or item is not playing.item:
            return []
        elif isinstance(event, act.Finished | act.Stopped | act.Failed):
            self._conclude(event, now)
        else:
            self._note_progress(playing, event, now)
        return self._flush(now)

    # Progress of the item that is playing

    def _note_progress(  # noqa: C901 - one case for each event
        self, playing: NowPlaying, event: PlaybackEvent, now: float
    ) -> None:
        item = playing.item
        match event:
            case act.Started():
                if item.status is Status.STARTING:
                    type_ = EventType.RESUMED if item.progress.has_begun else EventType.STARTED
                    item.start_sounding(now)
                    self._emit(item, type_)
            case act.SpeechStarted():
                if item.progress.first_speech_at is None:
                    item.progress.first_speech_at = now
            case act.Resumed():
                item.rewind(event.position_s)
            case act.Progressed():
                item.advance(event.position_s)
                item.progress.buffered_s = event.buffered_s
                if len(self._ready):
                    self._check_preemption(now)
            case act.PauseReached():
                self._check_preemption(now)
                if playing.wants_pause:
                    self._request_stop(EventType.INTERRUPTED)
                playing.looks_for_pause = False
            case act.Starved():
                playing.is_starved = True
            case act.Refilled():
                playing.is_starved = False

    def _conclude(self, event: act.Finished | act.Stopped | act.Failed, now: float) -> None:
        """The player is free: give the item its outcome, or keep it for later."""
        playing, self._playing = self._playing, None
        assert playing is not None  # noqa: S101 - for the type checker
        item, stop, stopped = playing.item, playing.stop, isinstance(event, act.Stopped)
        item.progress.ended_at = now
        item.progress.waiting_for_text = playing.is_parking and not stopped
        # A cut that the player could not obey, because it was at the end already, is no interruption.
        if stop is not None and (stop.type.is_outcome or not isinstance(event, act.Finished)):
            self._obey_stop(item, stop, now)
        elif isinstance(event, act.Failed):
            self._finish(item, EventType.FAILED, event.error, now)
        elif item.progress.waiting_for_text:
            self._displace(item, now)
        elif item.progress.first_sound_at is None:
            self._finish(item, EventType.FAILED, "there was nothing to say", now)
        else:
            self._round_over(item, now)
        self._close_digests(now)

    def _obey_stop(self, item: QueueItem, stop: StopRequest, now: float) -> None:
        if stop.type is EventType.FAILED:
            self._cut_off(item, now)
        elif stop.type.is_outcome:
            self._finish(item, stop.type, stop.reason, now)
        else:
            self._displace(item, now)
            if stop.by is not None and stop.by.order > item.order:
                self._move_to_front(stop.by, now)

    def _displace(self, item: QueueItem, now: float) -> None:
        """Keep an item that was cut, or fell silent, for later."""
        if self._end_if_superseded(item, now):
            return
        if item.status is Status.PLAYING:
            item.interrupt(next(self._sequence), now)
            self._emit(item, EventType.INTERRUPTED)
        self._enqueue_or_hold(item, now)
        if item.progress.waiting_for_text and item.status is not Status.ENDED:
            self._actions.append(act.WatchText(item))
        if item.status not in (Status.HELD, Status.ENDED):
            self._displaced.append(item)

    def _round_over(self, item: QueueItem, now: float) -> None:
        """The item was heard to its end: it has finished, or waits for its next round."""
        repeat = item.announcement.repeat
        if repeat is None:
            self._finish(item, EventType.FINISHED, None, now)
        elif not self._end_if_superseded(item, now):
            self._repeat(item, repeat, now)

    def _repeat(self, item: QueueItem, repeat: RepeatPolicy, now: float) -> None:
        progress, rounds = item.progress, item.progress.round
        since_first_s = now - (progress.first_sound_at or now)
        gap = next_gap(repeat, rounds, since_first_s, self._settings.policy.growth)
        if gap is None:
            self._finish(item, EventType.FINISHED, "times", now)
        else:
            item.begin_next_round(now + gap)
            self._enqueue_or_hold(item, now)
        if repeat.escalate_after == rounds:
            self._actions.append(act.Escalate(item.announcement))

    def _unpark(self, item: QueueItem, now: float) -> None:
        item.progress.waiting_for_text = False
        if item.status is Status.PARKED:
            item.status = item.waiting_status
            self._check_preemption(now)

    # Starting and preempting

    def _start(self, item: QueueItem, now: float) -> None:
        self._ready.remove(item)
        for displaced in self._displaced:
            displaced.preempted_by = item
        self._displaced, item.preempted_by = [], None
        self._playing, progress = NowPlaying(item), item.progress
        item.status = Status.STARTING
        item.volume = self._settings.effective_volume(item.announcement, now, progress.round)
        item.requested = Priority.NEEDED_NOW
        is_fresh = progress.position_s == 0 and not progress.has_begun
        self._actions.append(
            act.Play(
                item,
                progress.position_s,
                progress.continued_from_s if progress.resume_pending else None,
                self._settings.chime(item.announcement) if is_fresh else None,
                item.volume,
                item.deadline,
            )
        )

    def _request_stop(self, type_: EventType, reason: str | None = None, by: QueueItem | None = None) -> None:
        """Stop the playing item. An outcome is never downgraded to an interruption."""
        playing = self._playing
        if playing is None:
            return
        if playing.stop is None:
            self._actions.append(act.StopNow())
        elif playing.stop.type.is_outcome or not type_.is_outcome:
            return
        playing.stop, playing.wants_pause = StopRequest(type_, reason, by), False

    def _check_preemption(self, now: float) -> None:
        """Let the waiting items do to the playing one what the rules say."""
        playing = self._playing
        if playing is None:
            return
        playing.wants_pause = False
        if playing.stop is not None:
            return
        for item in self._ready.ready(now):
            if item.announcement.urgency.rank < Urgency.HIGH.rank:
                return
            preemption = self._preemption_for(item, playing.item)
            if preemption is Preemption.NOW or (preemption is Preemption.AT_PAUSE and not playing.is_audible):
                self._request_stop(EventType.INTERRUPTED, by=item)
                return
            if preemption is Preemption.AT_PAUSE:
                playing.wants_pause = True
                return

    @staticmethod
    def _preemption_for(item: QueueItem, current: QueueItem) -> Preemption:
        same_urgency = item.announcement.urgency is current.announcement.urgency
        if same_urgency and item.sequence < current.sequence:
            return Preemption.WAIT  # the older one was interrupted, and does not interrupt in turn
        return preemption_for(item.announcement, current.announcement, current.progress.heard_s)

    def _coalesces(self, announcement: Announcement) -> bool:
        """Return whether a new critical announcement is playing already."""
        playing = self._playing
        return (
            playing is not None
            and playing.stop is None
            and playing.item.superseded_by is None
            and preemption_for(announcement, playing.item.announcement, 0.0) is Preemption.COALESCE
        )

    def _end_if_superseded(self, item: QueueItem, now: float) -> bool:
        """End an item whose place was taken while it was playing; return whether it has ended."""
        if item.superseded_by is not None:
            self._replace(item, item.superseded_by, now)
        return item.status is Status.ENDED

    # Waiting and holding

    def _enqueue_or_hold(self, item: QueueItem, now: float) -> None:
        item.progress.ended_at = None
        if self._closed:
            self._abandon(item, now)
        elif self._hold_reason(item, now) is not None:
            self._hold(item, now)
        elif item.progress.has_begun and self._ready.is_full_of_interrupted():
            self._finish(item, EventType.CANCELLED, "overflow", now)
        else:
            item.release(now)
            item.status = item.waiting_status
            self._drop(self._ready.add(item), now)

    def _hold(self, item: QueueItem, now: float) -> None:
        reason = self._hold_reason(item, now)
        if item.requested is not None:
            item.requested = item.progress.synthesized_s = None
            self._actions.append(act.CancelPrefetch(item))
        item.hold(now)
        dropped = self._held.add(item)
        self._emit(item, EventType.HELD, reason)
        self._drop(dropped, now)

    def _hold_reason(self, item: QueueItem, now: float) -> str | None:
        """Return why an item may not be played now.

        None for items that are not due yet; they are checked again when due. Quiet hours never hold an item
        that has begun.
        """
        if item.is_internal or item.due > now:
            return None
        state = self._hold_state
        if item.progress.has_begun:
            state = dataclasses.replace(state, quiet=False)
        return state.holds(item.announcement.urgency)

    def _move_to_front(self, item: QueueItem, now: float) -> None:
        """Put a waiting item before all others of its urgency."""
        if self._ready.pop_if(lambda waiting: waiting is item):
            item.precedence = next(self._sequence)
            self._enqueue_or_hold(item, now)

    def _replace_tagged(self, item: QueueItem, now: float) -> None:
        """Let a new item take the place of the older waiting ones of its tag."""
        if item.announcement.tag is None:
            return

        def is_older(other: QueueItem) -> bool:
            return replaces(item.announcement, other.announcement)

        for other in [*self._ready.pop_if(is_older), *self._held.pop_if(is_older)]:
            if other.announcement.urgency is item.announcement.urgency:
                item.sequence = min(item.sequence, other.sequence)
                item.precedence = max(item.precedence, other.precedence)
            self._replace(other, item.announcement, now)

    def _release_held(self, now: float) -> None:
        """Let the held items continue, as far as they may."""
        for item in self._held.pop_if(
            lambda item: item.digest is None and self._hold_reason(item, now) is None
        ):
            item.release(now)
            self._enqueue_or_hold(item, now)

    # Time and settings

    def _reevaluate(self, now: float) -> None:
        """Find out what time and the settings have changed."""
        if self._ready.may_have_changed(now):
            self._ready.follow_clock(now, self._settings.local_now())
        before, state = self._hold_state, self._settings.hold_state(now)
        may_hold = state != before or self._ready.may_have_changed(now)
        self._hold_state = state
        self._finish_all(self._ready.pop_expired(now), EventType.EXPIRED, "ttl", now)
        self._finish_all(self._held.pop_expired(now), EventType.EXPIRED, "held too long", now)
        if may_hold:
            for item in self._ready.pop_if(lambda item: self._hold_reason(item, now) is not None):
                self._hold(item, now)
        if (state.mute and not before.mute) or (state.dnd and not before.dnd):
            internal = [item for item in self._all_items if item.is_internal]
            self._end(internal, EventType.CANCELLED, "stop", now)
        self._reevaluate_playing(now)
        self._close_digests(now)
        if self._settings.policy.digest == "off":
            self._release_held(now)
        elif before.holds(Urgency.NORMAL) and not state.holds(Urgency.NORMAL):
            self._quiet_ended(now)
        self._check_preemption(now)

    def _reevaluate_playing(self, now: float) -> None:
        item = self.playing
        if item is None:
            return
        volume = self._settings.effective_volume(item.announcement, now, item.progress.round)
        if volume != item.volume:
            item.volume = volume
            self._actions.append(act.SetVolume(volume))
        is_silent = item.status is Status.STARTING
        if item.deadline is not None and item.deadline <= now and is_silent:
            self._request_stop(EventType.EXPIRED, "ttl")
        elif self._hold_reason(item, now) is not None:
            self._request_stop(EventType.HELD)

    # The digest

    def _read_digest(self, now: float) -> None:
        unread = self._held.unread()
        items = digest.newest_per_tag(unread)
        read = digest.fit_digest(items)
        if not read or self._closed:
            return
        language, local = self._settings.policy.language, self._settings.local_now()
        announcement = digest.digest_of(read, len(items) - len(read), self._name, language, now, local)
        reader = self._submit_internal(announcement, now)
        tags = {item.announcement.tag for item in read} - {None}
        for item in unread:
            if item in read or item.announcement.tag in tags:
                item.digest = reader
        self._digests.append(reader)

    def _quiet_ended(self, now: float) -> None:
        count = len(digest.newest_per_tag(self._held.unread()))
        if self._settings.policy.digest == "at_end":
            self._read_digest(now)
        elif count:
            sentence = messages.waiting(count, self._settings.policy.language)
            local = self._settings.local_now()
            announcement = internal_announcement(
                sentence, self._name, received_monotonic=now, received_at=local, tag="edgevoice-held"
            )
            self._submit_internal(announcement, now)

    def _close_digests(self, now: float) -> None:
        """Finish what a finished digest has read; what another one did not come to read stays held."""
        for reader in [reader for reader in self._digests if reader.status is Status.ENDED]:
            self._digests.remove(reader)
            read = [item for item in self._held if item.digest is reader]
            if reader.outcome is EventType.FINISHED:
                self._end(read, EventType.FINISHED, "digest", now)
                is_at_end = self._settings.policy.digest == "at_end"
                if is_at_end and self._hold_state.holds(Urgency.NORMAL) is None:
                    self._read_digest(now)  # the rest
            for item in read:
                item.digest = None

    def _submit_internal(self, announcement: Announcement, now: float) -> QueueItem:
        """Let the daemon itself say something."""
        item = self._new_item(announcement, now, is_internal=True)
        self._emit(item, EventType.QUEUED)
        self._replace_tagged(item, now)
        self._enqueue_or_hold(item, now)
        self._check_preemption(now)
        return item

    # Outcomes

    def _end(self, items: list[QueueItem], type_: EventType, reason: str, now: float) -> None:
        """End items in any state; the playing item ends once the player has stopped."""
        playing = self.playing
        if playing in items:
            self._request_stop(type_, reason)
        self._ready.pop_if(items.__contains__)
        self._held.pop_if(items.__contains__)
        self._finish_all((item for item in items if item is not playing), type_, reason, now)
        self._close_digests(now)
        self._check_preemption(now)

    def _replace(self, item: QueueItem, newer: Announcement, now: float) -> None:
        """End an item whose place another has taken."""
        if newer.resolves and item.announcement.repeat is not None:
            self._finish(item, EventType.FINISHED, "resolved", now)
        else:
            self._finish(item, EventType.REPLACED, f"by {newer.id}", now)

    def _drop(self, item: QueueItem | None, now: float) -> None:
        """End an item for which there is no room."""
        if item is not None:
            was_heard = item.progress.first_sound_at is not None
            type_ = EventType.CANCELLED if was_heard else EventType.SUPPRESSED
            self._finish(item, type_, "overflow", now)

    def _cut_off(self, item: QueueItem, now: float) -> None:
        """The daemon ends while this is playing: a high or critical one is played again after the next start."""
        is_urgent = item.announcement.urgency.rank >= Urgency.HIGH.rank
        if item.status is Status.PLAYING and not is_urgent:
            self._finish(item, EventType.FAILED, "restart", now)
        else:
            self._abandon(item, now)

    def _abandon(self, item: QueueItem, now: float) -> None:
        """The daemon ends before this was played: the next start brings it back, or it has failed."""
        if item.is_restorable:
            item.status = Status.ENDED
            self._actions += [act.Keep(item), act.Release(item)]
        else:
            self._finish(item, EventType.FAILED, "restart", now)

    def _finish_all(
        self, items: Iterable[QueueItem], type_: EventType, reason: str | None, now: float
    ) -> None:
        for item in items:
            self._finish(item, type_, reason, now)

    def _finish(self, item: QueueItem, type_: EventType, reason: str | None, now: float) -> None:
        """Give an item its one outcome."""
        if item.status is Status.ENDED:
            return
        item.status, item.outcome = Status.ENDED, type_
        self._emit(item, type_, reason)
        if type_ is EventType.FINISHED and not item.is_internal:
            self._outcomes.remember(item.announcement.id, now)
        self._actions.append(act.Release(item))

    def _reject_duplicate(self, item: QueueItem) -> None:
        item.status = Status.ENDED
        self._emit(item, EventType.DUPLICATE)
        self._actions.append(act.Release(item))

    def _is_duplicate(self, id_: str, now: float) -> bool:
        return (
            self._is_playing_to_the_end(id_)
            or self._outcomes.has_finished(id_, now)
            or self._ready.has_id(id_)
            or self._held.has_id(id_)
        )

    def _is_playing_to_the_end(self, id_: str) -> bool:
        """Return whether this id is playing, and is not about to end otherwise than finished."""
        playing = self._playing
        if playing is None or playing.item.announcement.id != id_:
            return False
        is_ending = playing.stop is not None and playing.stop.type.is_outcome
        return not is_ending or (playing.stop is not None and playing.stop.type is EventType.FINISHED)

    # Actions

    def _emit(self, item: QueueItem, type_: EventType, reason: str | None = None) -> None:
        progress = item.progress
        self._actions.append(
            act.Emit(
                item,
                type_,
                reason,
                item.volume,
                progress.round,
                round(progress.farthest_s, 3) if progress.first_sound_at is not None else None,
                progress.first_sound_at,
                progress.first_speech_at,
                progress.ended_at,
            )
        )

    def _flush(self, now: float) -> list[Action]:
        """Return the collected actions, with those that follow from the state as it is now."""
        if (playing := self._playing) is not None:
            self._plan_pause(playing)
            if (
                playing.is_starved
                and not playing.is_parking
                and playing.stop is None
                and self._ready.first(now)
            ):
                playing.is_parking = True
                self._actions.append(act.Park())
        for item, priority, by in self._prefetch_plan(now):
            if item.requested is None or item.requested < priority:
                item.requested = priority
                self._actions.append(act.Prefetch(item, priority, by))
        actions, self._actions = self._actions, []
        return actions

    def _plan_pause(self, playing: NowPlaying) -> None:
        if playing.wants_pause is playing.looks_for_pause:
            return
        playing.looks_for_pause = playing.wants_pause
        self._actions.append(act.StopAtPause() if playing.wants_pause else act.CancelStopAtPause())

    def _prefetch_plan(self, now: float) -> Iterator[tuple[QueueItem, Priority, float]]:
        """Yield what to synthesize in addition to the playing item: its urgency and deadline."""
        playing, priority, by = self._playing, Priority.NEEDED_NOW, now
        if playing is not None and not playing.wants_pause and playing.stop is None:
            priority, by = Priority.PREFETCH, now + playing.item.progress.buffered_s
        for item in self._ready.prefetch_candidates(now):
            yield item, priority, by
            priority, by = Priority.PREFETCH, by + item.remaining_s

    def _new_item(self, announcement: Announcement, now: float, *, is_internal: bool = False) -> QueueItem:
        volume = self._settings.effective_volume(announcement, now)
        return QueueItem(announcement, is_internal, next(self._sequence), volume)

    @property
    def _all_items(self) -> list[QueueItem]:
        playing = self.playing
        return [*self._ready, *self._held, *([playing] if playing is not None else [])]


def _with_interrupted(current: QueueItem | None, items: list[QueueItem]) -> list[QueueItem]:
    """Return the playing item, and the items that were interrupted for it, directly or indirectly."""
    found = [current] if current is not None else []
    for one in found:
        found += [item for item in items if item.preempted_by is one]
    return found
