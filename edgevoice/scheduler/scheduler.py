"""The scheduler of one speaker: which announcement is played, what it interrupts, and how each ends.

A state machine without I/O, loop or callback, in the manner of websockets' sans-I/O protocol: every input
(`submit`, a command, `playback`, `tick`, `start_next`) returns the actions that follow from it, to be
executed in their order. The speaker tells it what the player did; the states of an item are drawn in
`edgevoice.scheduler.queue`.

Length: the rules of one queue act on each other (a tag replaces what is held, a digest ends
what it read, an interruption overflows the queue), and cutting them apart hid that in version 0.1.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.announcement import Priority, Urgency, internal_announcement
from edgevoice.outcome import EventType
from edgevoice.scheduler import actions as act
from edgevoice.scheduler.actions import Admission
from edgevoice.scheduler.policy import HoldState, Preemption, is_update, next_gap, preemption_for, replaces
from edgevoice.scheduler.queue import HeldQueue, QueueItem, ReadyQueue, Status
from edgevoice.storage.schema import DEDUPLICATION_S, MAX_FINISHED
from edgevoice.text import messages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgevoice.announcement import Announcement
    from edgevoice.scheduler.actions import Action, PlaybackEvent
    from edgevoice.scheduler.policy import SpeakerSettings

#: Seconds of sound that are synthesized ahead; one longer item is enough.
PREFETCH_S = 2.0
#: Announcements that one digest reads, and their characters: a minute at 15 a second.
MAX_DIGEST_ITEMS = 10
MAX_DIGEST_CHARACTERS = 900


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


class Scheduler:
    """The scheduler of the speaker `name`. Times are monotonic seconds."""

    def __init__(self, name: str, settings: SpeakerSettings) -> None:
        self._name = name
        self._settings = settings
        self._ready = ReadyQueue(settings.policy.queue)
        self._held = HeldQueue(settings.policy.queue, settings.policy.digest_keep)
        self._finished = FinishedIds()
        #: Which of mute, do not disturb and quiet hours were on at the last input.
        self.hold_state = HoldState()
        #: Monotonic time of the last reevaluation.
        self._evaluated_at = 0.0
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
    def waiting(self) -> Sequence[QueueItem]:
        """The items of the ready queue, in order."""
        return self._ready.items

    @property
    def held(self) -> Sequence[QueueItem]:
        return self._held.items

    def admission(self, announcement: Announcement, now: float) -> Admission:
        """Return what would become of an announcement that is submitted now."""
        if self._is_duplicate(announcement.id, now):
            return Admission.DUPLICATE
        playing = self._playing
        if playing is None or playing.stop is not None or playing.item.superseded_by is not None:
            return Admission.QUEUED
        preemption = preemption_for(announcement, playing.item.announcement, 0.0)
        return Admission.COALESCED if preemption is Preemption.COALESCE else Admission.QUEUED

    def find(self, what: str) -> list[QueueItem]:
        """Return the items that `stop` would end.

        What is playing and all it interrupted (""), everything ("all"), those with this id, else with this tag.
        """
        items = self._all_items
        if what == "":
            found = [self._playing.item] if self._playing is not None else []
            for one in found:
                found += [item for item in items if item.preempted_by is one]
            return found
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

    def has_finished(self, id_: str, now: float) -> bool:
        """Return whether an announcement with this id finished within 24 h."""
        return self._finished.has(id_, now)

    def next_wakeup(self) -> float:
        """Return a moment before which `tick` would change nothing, except for the start of quiet hours."""
        dnd_until = self._settings.dnd_until
        moment = dnd_until if dnd_until > self._evaluated_at else math.inf
        if self._ready.items:
            moment = min(moment, self._ready.next_change(self._evaluated_at))
        if self._held.items:
            moment = min(moment, self._held.next_change())
        playing = self._playing
        if playing is not None and playing.stop is None and playing.item.status is Status.STARTING:
            moment = min(moment, math.inf if playing.item.deadline is None else playing.item.deadline)
        return moment

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
            self._finish(item, EventType.DUPLICATE, None, now)
        elif admission is Admission.COALESCED:
            self._emit(item, EventType.QUEUED)
            self._finish(item, EventType.REPLACED, "the same is being said", now)
        else:
            if (playing := self.playing) is not None:
                if is_update(announcement, playing.announcement):
                    item.precedence = next(self._sequence)  # it is said next
                if replaces(announcement, playing.announcement):
                    playing.superseded_by = announcement
            self._queue(item, now)
        return self._flush(now)

    def refuse(self, announcement: Announcement, reason: str, now: float) -> list[Action]:
        """End an announcement as suppressed before it is queued; a duplicate has its outcome already."""
        item = self._new_item(announcement, now)
        is_duplicate = self._is_duplicate(announcement.id, now)
        type_ = EventType.DUPLICATE if is_duplicate else EventType.SUPPRESSED
        self._finish(item, type_, None if is_duplicate else reason, now)
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
        self._reevaluate(now)
        return self._flush(now)

    def start_next(self, now: float) -> list[Action]:
        """Start the next item; to be called when the player is free."""
        self._reevaluate(now)
        if self._playing is None and (item := next(self._ready.ready(now), None)) is not None:
            self._start(item, now)
        return self._flush(now)

    def restore_finished(self, until: Mapping[str, float]) -> None:
        """Take over the ids that finished before a restart, and until when each is remembered."""
        self._finished.restore(until)

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
            item.progress.waiting_for_text = False
            if item.status is Status.PARKED:
                item.status = item.waiting_status
                self._check_preemption(now)
        elif playing is None or item is not playing.item:
            return []
        elif isinstance(event, act.Finished | act.Stopped | act.Failed):
            self._playing = None
            self._conclude(playing, event, now)
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
                if self._ready.items:
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

    def _conclude(
        self, playing: NowPlaying, event: act.Finished | act.Stopped | act.Failed, now: float
    ) -> None:
        """The player is free: give the item its outcome, or keep it for later."""
        item, stop, stopped = playing.item, playing.stop, isinstance(event, act.Stopped)
        item.progress.ended_at = now
        item.progress.waiting_for_text = playing.is_parking and not stopped
        # A cut that the player could not obey, because it was at the end already, is no interruption.
        if stop is not None and (stop.type.is_outcome or not isinstance(event, act.Finished)):
            self._apply_stop(item, stop, now)
        elif isinstance(event, act.Failed):
            self._finish(item, EventType.FAILED, event.error, now)
        elif item.progress.waiting_for_text:
            self._requeue(item, now)
        elif item.progress.first_sound_at is None:
            self._finish(item, EventType.FAILED, "there was nothing to say", now)
        else:
            self._round_over(item, now)
        self._close_digests(now)

    def _apply_stop(self, item: QueueItem, stop: StopRequest, now: float) -> None:
        is_urgent = item.announcement.urgency.rank >= Urgency.HIGH.rank
        if stop.type is EventType.FAILED and (is_urgent or item.status is not Status.PLAYING):
            self._abandon(item, now)  # an urgent one is played again after the next start
        elif stop.type.is_outcome:
            self._finish(item, stop.type, stop.reason, now)
        else:
            self._requeue(item, now)
            by = stop.by
            if by is not None and by.order > item.order and by in self._ready.items:
                self._ready.items.remove(by)
                by.precedence = next(self._sequence)
                self._enqueue_or_hold(by, now)

    def _requeue(self, item: QueueItem, now: float) -> None:
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
        repeat, rounds = item.announcement.repeat, item.progress.round
        if repeat is None:
            self._finish(item, EventType.FINISHED, None, now)
            return
        if self._end_if_superseded(item, now):
            return
        since_first_s = now - (item.progress.first_sound_at or now)
        gap = next_gap(repeat, rounds, since_first_s, self._settings.policy.growth)
        if gap is None:
            self._finish(item, EventType.FINISHED, "times", now)
        else:
            item.begin_next_round(now + gap)
            self._enqueue_or_hold(item, now)
        if repeat.escalate_after == rounds:
            self._actions.append(act.Escalate(item.announcement))

    # Starting and preempting

    def _start(self, item: QueueItem, now: float) -> None:
        self._ready.items.remove(item)
        for displaced in self._displaced:
            displaced.preempted_by = item
        self._displaced, item.preempted_by = [], None
        self._playing, progress = NowPlaying(item), item.progress
        item.status = Status.STARTING
        item.volume = self._settings.effective_volume(item.announcement, now, progress.round)
        self._request(item, Priority.NEEDED_NOW, now)
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
        if playing.stop is not None or not self._ready.items:
            return
        current = playing.item
        is_silent = current.status is Status.STARTING
        for item in self._ready.ready(now):
            new = item.announcement
            if new.urgency.rank < Urgency.HIGH.rank:
                return
            if new.urgency is current.announcement.urgency and item.sequence < current.sequence:
                continue  # the older one was interrupted, and does not interrupt in turn
            preemption = preemption_for(new, current.announcement, current.progress.heard_s)
            if preemption is Preemption.NOW or (preemption is Preemption.AT_PAUSE and is_silent):
                self._request_stop(EventType.INTERRUPTED, by=item)
                return
            if preemption is Preemption.AT_PAUSE:
                playing.wants_pause = True
                return

    def _end_if_superseded(self, item: QueueItem, now: float) -> bool:
        """End an item whose place was taken while it was playing; return whether it has ended."""
        if item.superseded_by is not None:
            self._replace(item, item.superseded_by, now)
        return item.status is Status.ENDED

    # Waiting and holding

    def _queue(self, item: QueueItem, now: float) -> None:
        """Accept a new item, in the place of the older waiting ones of its tag."""
        self._emit(item, EventType.QUEUED)

        def is_older(other: QueueItem) -> bool:
            return replaces(item.announcement, other.announcement)

        if item.announcement.tag is not None:
            for other in [*self._ready.pop_if(is_older), *self._held.pop_if(is_older)]:
                if other.announcement.urgency is item.announcement.urgency:
                    item.sequence = min(item.sequence, other.sequence)
                    item.precedence = max(item.precedence, other.precedence)
                self._replace(other, item.announcement, now)
        self._enqueue_or_hold(item, now)
        self._check_preemption(now)

    def _enqueue_or_hold(self, item: QueueItem, now: float) -> None:
        item.progress.ended_at = None
        if self._closed:
            self._abandon(item, now)
        elif (reason := self._hold_reason(item, now)) is not None:
            self._hold(item, reason, now)
        elif item.progress.has_begun and self._ready.is_full_of_interrupted():
            self._finish(item, EventType.CANCELLED, "overflow", now)
        else:
            item.release(now)
            item.status = item.waiting_status
            self._drop(self._ready.add(item), now)

    def _hold(self, item: QueueItem, reason: str, now: float) -> None:
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
        return self.hold_state.holds(item.announcement.urgency, has_begun=item.progress.has_begun)

    # Time and settings

    def _reevaluate(self, now: float) -> None:
        """Find out what time and the settings have changed."""
        before, state = self.hold_state, self._settings.hold_state(now)
        self.hold_state, self._evaluated_at = state, now
        self._reevaluate_waiting(now)
        if (state.mute and not before.mute) or (state.dnd and not before.dnd):
            internal = [item for item in self._all_items if item.is_internal]
            self._end(internal, EventType.CANCELLED, "stop", now)
        self._reevaluate_playing(now)
        self._close_digests(now)
        if self._settings.policy.digest == "off":
            for item in self._held.pop_if(lambda item: not item.digest and not self._hold_reason(item, now)):
                self._enqueue_or_hold(item, now)
        elif before != state and before.holds(Urgency.NORMAL) and not state.holds(Urgency.NORMAL):
            self._quiet_ended(now)
        self._check_preemption(now)

    def _reevaluate_waiting(self, now: float) -> None:
        if self._ready.items:
            self._ready.follow_clock(now, self._settings.local_now)
            for item in self._ready.pop_expired(now):
                self._finish(item, EventType.EXPIRED, "ttl", now)
            if self.hold_state != HoldState():
                for item in self._ready.pop_if(lambda item: self._hold_reason(item, now) is not None):
                    self._enqueue_or_hold(item, now)
        if self._held.items:
            for item in self._held.pop_expired(now):
                self._finish(item, EventType.EXPIRED, "held too long", now)

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
        items = _newest_per_tag(unread)
        read = _fit_digest(items)
        if not read or self._closed:
            return
        language, local = self._settings.policy.language, self._settings.local_now()
        sentences = [messages.held(len(read), language)]
        for item in read:
            received = item.announcement.received_at.astimezone(local.tzinfo)
            sentences.append(messages.dated(received, _text_of(item), language))
        if left := len(items) - len(read):
            sentences.append(messages.more_held(left, language))
        private = any(item.announcement.private for item in read)
        reader = self._announce(" ".join(sentences), now, private=private)
        tags = {item.announcement.tag for item in read} - {None}
        for item in unread:
            if item in read or item.announcement.tag in tags:
                item.digest = reader
        self._digests.append(reader)

    def _quiet_ended(self, now: float) -> None:
        count = len(_newest_per_tag(self._held.unread()))
        if self._settings.policy.digest == "at_end":
            self._read_digest(now)
        elif count:
            sentence = messages.waiting(count, self._settings.policy.language)
            self._announce(sentence, now, tag="edgevoice-held")

    def _close_digests(self, now: float) -> None:
        """Finish what a finished digest has read; what another one did not come to read stays held."""
        for reader in [reader for reader in self._digests if reader.status is Status.ENDED]:
            self._digests.remove(reader)
            read = [item for item in self._held.items if item.digest is reader]
            if reader.outcome is EventType.FINISHED:
                self._end(read, EventType.FINISHED, "digest", now)
                is_at_end = self._settings.policy.digest == "at_end"
                if is_at_end and self.hold_state.holds(Urgency.NORMAL) is None:
                    self._read_digest(now)  # the rest
            for item in read:
                item.digest = None

    def _announce(self, text: str, now: float, *, private: bool = False, tag: str | None = None) -> QueueItem:
        """Let the daemon itself say something."""
        local = self._settings.local_now()
        announcement = internal_announcement(
            text, self._name, received_monotonic=now, received_at=local, private=private, tag=tag
        )
        item = self._new_item(announcement, now, is_internal=True)
        self._queue(item, now)
        return item

    # Outcomes

    def _end(self, items: list[QueueItem], type_: EventType, reason: str, now: float) -> None:
        """End items in any state; the playing item ends once the player has stopped."""
        playing = self.playing
        if playing in items:
            self._request_stop(type_, reason)
        self._ready.pop_if(items.__contains__)
        self._held.pop_if(items.__contains__)
        for item in items:
            if item is not playing:
                self._finish(item, type_, reason, now)
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

    def _abandon(self, item: QueueItem, now: float) -> None:
        """The daemon ends before this was played: the next start brings it back, or it has failed."""
        if item.is_restorable:
            item.status = Status.ENDED
            self._actions.append(act.Release(item, keep=True))
        else:
            self._finish(item, EventType.FAILED, "restart", now)

    def _finish(self, item: QueueItem, type_: EventType, reason: str | None, now: float) -> None:
        """Give an item its one outcome."""
        if item.status is Status.ENDED:
            return
        item.status, item.outcome = Status.ENDED, type_
        self._emit(item, type_, reason)
        if type_ is EventType.FINISHED and not item.is_internal:
            self._finished.remember(item.announcement.id, now)
        self._actions.append(act.Release(item))

    def _is_duplicate(self, id_: str, now: float) -> bool:
        if self._finished.has(id_, now):
            return True
        if any(item.announcement.id == id_ for item in [*self._ready.items, *self._held.items]):
            return True
        playing = self._playing
        if playing is None or playing.item.announcement.id != id_:
            return False
        # What is about to end otherwise than finished may come again.
        stop = playing.stop
        return stop is None or not stop.type.is_outcome or stop.type is EventType.FINISHED

    # Actions

    def _emit(self, item: QueueItem, type_: EventType, reason: str | None = None) -> None:
        self._actions.append(act.Emit(item, type_, reason, item.volume, dataclasses.replace(item.progress)))

    def _flush(self, now: float) -> list[Action]:
        """Return the collected actions, with those that follow from the state as it is now."""
        if (playing := self._playing) is not None and playing.wants_pause is not playing.looks_for_pause:
            playing.looks_for_pause = playing.wants_pause
            self._actions.append(act.StopAtPause() if playing.wants_pause else act.CancelStopAtPause())
        if self._ready.items:
            self._plan_ahead(now)
        actions, self._actions = self._actions, []
        return actions

    def _plan_ahead(self, now: float) -> None:
        """Let live text that fell silent make room for the next item, and have that synthesized.

        While all are short and complete, more are synthesized.
        """
        playing, priority, by, ahead_s = self._playing, Priority.NEEDED_NOW, now, 0.0
        if playing is not None and not playing.wants_pause and playing.stop is None:
            priority, by = Priority.PREFETCH, now + playing.item.progress.buffered_s
        for item in self._ready.ready(now):
            if playing is not None and playing.is_starved and not playing.is_parking and playing.stop is None:
                playing.is_parking = True
                self._actions.append(act.Park())
            self._request(item, priority, by + ahead_s)
            if item.progress.synthesized_s is None:
                return
            ahead_s += max(0.0, item.progress.synthesized_s - item.progress.position_s)
            if ahead_s >= PREFETCH_S:
                return
            priority = Priority.PREFETCH

    def _request(self, item: QueueItem, priority: Priority, by: float) -> None:
        """Have an item synthesized, unless that was asked for at this priority before."""
        if item.requested is None or item.requested < priority:
            item.requested = priority
            self._actions.append(act.Prefetch(item, priority, by))

    def _new_item(self, announcement: Announcement, now: float, *, is_internal: bool = False) -> QueueItem:
        volume = self._settings.effective_volume(announcement, now)
        return QueueItem(announcement, is_internal, next(self._sequence), volume)

    @property
    def _all_items(self) -> list[QueueItem]:
        playing = self.playing
        return [*self._ready.items, *self._held.items, *([playing] if playing is not None else [])]


def _newest_per_tag(items: Sequence[QueueItem]) -> list[QueueItem]:
    """Return the items without those that have the tag of a later one."""
    newest = {item.announcement.tag: item for item in items}
    return [item for item in items if item.announcement.tag is None or newest[item.announcement.tag] is item]


def _fit_digest(items: Sequence[QueueItem]) -> Sequence[QueueItem]:
    """Return the first items, as many as one digest reads, at least one."""
    length = 0
    for count, item in enumerate(items):
        length += len(_text_of(item)) + len(messages.dated(item.announcement.received_at, "", "en"))
        if count and (count == MAX_DIGEST_ITEMS or length > MAX_DIGEST_CHARACTERS):
            return items[:count]
    return items


def _text_of(item: QueueItem) -> str:
    live = item.announcement.live
    return (item.announcement.text or "") if live is None else live.text


class FinishedIds:
    """The ids of the announcements that finished within 24 h; times are monotonic seconds."""

    def __init__(self) -> None:
        self.until: dict[str, float] = {}

    def has(self, id_: str, now: float) -> bool:
        return self.until.get(id_, now) > now

    def remember(self, id_: str, now: float) -> None:
        """Remember that an announcement finished now."""
        self.until.pop(id_, None)
        self.until[id_] = now + DEDUPLICATION_S
        while (oldest := next(iter(self.until))) != id_ and (
            self.until[oldest] <= now or len(self.until) > MAX_FINISHED
        ):
            del self.until[oldest]

    def restore(self, until: Mapping[str, float]) -> None:
        """Take over ids that finished before a restart, and until when each is remembered."""
        self.until.update(sorted(until.items(), key=lambda entry: entry[1]))
