"""A speaker: one loop that tells the scheduler what happens and executes the actions it returns.

Length: the inputs, the loop and the execution of each action are one thought.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from edgevoice.errors import ClipError, OutputError
from edgevoice.outcome import CurrentAnnouncement, Event, EventType, SpeakerState, Timings
from edgevoice.playback.player import Player
from edgevoice.scheduler import actions as act
from edgevoice.scheduler.queue import Status
from edgevoice.scheduler.scheduler import Scheduler
from edgevoice.text import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping, Sequence

    from edgevoice.announcement import Announcement
    from edgevoice.audio.chimes import Chimes
    from edgevoice.audio.clip import Clip
    from edgevoice.faults import Faults
    from edgevoice.plugin import Output
    from edgevoice.scheduler.actions import Action, Admission, PlaybackEvent
    from edgevoice.scheduler.policy import SpeakerSettings
    from edgevoice.scheduler.queue import QueueItem
    from edgevoice.storage.recorder import Recorder
    from edgevoice.synthesis.synthesizer import SpeechJob

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpeakerSnapshot:
    """The playing announcement, the seconds of it that were heard, and the queue, in order."""

    current: Announcement | None = None
    heard_s: float = 0.0
    waiting: Sequence[Announcement] = ()


class Speaker:
    """A named output with a queue of its own.

    Use as `async with`; `run` plays what is submitted. `new_job` makes the synthesis job of an announcement
    of the daemon itself, `escalate` takes announcements for further targets.
    """

    def __init__(  # noqa: PLR0913 - the parts it connects
        self,
        name: str,
        output: Output,
        settings: SpeakerSettings,
        *,
        chimes: Chimes,
        new_job: Callable[[Announcement], SpeechJob],
        escalate: Callable[[Announcement], None],
        recorder: Recorder,
        faults: Faults,
    ) -> None:
        self.name = name
        self.settings = settings
        self._scheduler = Scheduler(name, settings)
        self._output = output
        self._chimes = chimes
        self._new_job = new_job
        self._escalate = escalate
        self._recorder = recorder
        self._faults = faults
        self._inbox: deque[tuple[PlaybackEvent, float]] = deque()
        self._wake = asyncio.Event()
        self._jobs: dict[Announcement, SpeechJob] = {}
        self._tasks = _TaskSet()
        self._player: Player | None = None
        self._playback: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._kept: list[QueueItem] = []
        self._audible_since = datetime.now(UTC)
        self._shown: SpeakerState | None = None
        self._read_faults()

    async def __aenter__(self) -> Self:
        self._faults.subscribe(self._on_faults)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._playback is not None:
            self._playback.cancel()
            await asyncio.wait({self._playback})
        await self._tasks.close()

    # Inputs

    def admission(self, announcement: Announcement) -> Admission:
        """Return what would become of an announcement that is submitted now."""
        if self._handle_inbox():
            self._settle()
        return self._scheduler.admission(announcement, _now())

    def submit(
        self, job: SpeechJob, *, deadline: float | None = None, held_since: float | None = None
    ) -> None:
        """Accept an announcement. From here on it ends in exactly one outcome, unless it is a duplicate.

        After a restart, `deadline` takes the place of the announcement's own, and it was held since
        `held_since`; monotonic seconds.
        """
        self._add_job(job)
        submit = functools.partial(self._scheduler.submit, deadline=deadline, held_since=held_since)
        try:
            self._do(submit, job.announcement)
        except Exception:
            # Nothing plays it here: its synthesis must not wait for this speaker.
            if self._jobs.pop(job.announcement, None) is not None:
                job.leave()
            raise

    def refuse(self, job: SpeechJob, reason: str) -> None:
        """End an announcement as suppressed before it is queued."""
        self._add_job(job)
        self._do(self._scheduler.refuse, job.announcement, reason)

    def stop(self, what: str) -> bool:
        """Stop the playing item and all it interrupted (""), everything ("all"), an id, else a tag.

        Return whether there was anything to stop, or this id has finished already.
        """
        self._handle_inbox()
        found = bool(self._scheduler.find(what)) or self._scheduler.has_finished(what, _now())
        self._do(self._scheduler.stop, what)
        return found

    def acknowledge(self, what: str) -> bool:
        """End every repeating alert (""), or the one with this id.

        Return whether there was one, or this id has finished already.
        """
        self._handle_inbox()
        found = bool(self._scheduler.find_repeating(what)) or self._scheduler.has_finished(what, _now())
        self._do(self._scheduler.acknowledge, what)
        return found

    def read_digest(self) -> None:
        """Read the held announcements now."""
        self._do(self._scheduler.read_digest)

    def apply_setting(self, name: str, value: str) -> None:
        """Set `volume`, `mute` or `dnd`.

        Raises:
            InvalidAnnouncement: the value is not allowed.
        """
        self._do(self._scheduler.apply_setting, name, value)
        self._recorder.on_setting(self.name, name, self.settings)

    def tick(self) -> None:
        """Find out what time has changed."""
        self._do(self._scheduler.tick)

    def restore_settings(self, *, volume: int, mute: bool, dnd_until: float) -> None:
        """Take over the settings of the last run; `dnd_until` in monotonic seconds."""
        self.settings.restore(volume=volume, mute=mute, dnd_until=dnd_until)
        self.tick()

    def restore_finished(self, until: Mapping[str, float]) -> None:
        """Take over the ids that finished before a restart, and until when each is a duplicate."""
        self._scheduler.restore_finished(until)

    async def drain(self, within_s: float) -> list[QueueItem]:
        """Accept no more announcements, let the playing item end, but stop it after `within_s` seconds.

        Return the items to keep for the next start; every other item has its outcome.
        """
        self._do(self._scheduler.close)
        if (task := self._playback) is not None and not (await asyncio.wait({task}, timeout=within_s))[0]:
            self._do(self._scheduler.abort)
            await asyncio.wait({task})
        if self._handle_inbox():
            self._settle()
        return self._kept

    # Queries

    @property
    def snapshot(self) -> SpeakerSnapshot:
        item = self._scheduler.playing
        return SpeakerSnapshot(
            item.announcement if item is not None else None,
            item.progress.heard_s if item is not None else 0.0,
            [waiting.announcement for waiting in self._scheduler.waiting],
        )

    @property
    def state(self) -> SpeakerState:
        """Return the activity of the speaker, as published."""
        scheduler, hold, now = self._scheduler, self._scheduler.hold_state, None
        if (item := scheduler.playing) is not None and item.status is Status.PLAYING:
            announcement = item.announcement
            now = CurrentAnnouncement(announcement.id, announcement.urgency, self._audible_since)
        return SpeakerState(
            state="fault" if self._output_fault else "speaking" if now else "idle",
            queue=len(scheduler.waiting),
            held=len(scheduler.held),
            now=now,
            volume=self.settings.volume,
            mute=hold.mute,
            dnd=hold.dnd,
            quiet=hold.quiet,
            fault=self._fault,
        )

    def show(self) -> None:
        """Tell the observers the state, if it is another than they know."""
        if (state := self.state) != self._shown:
            self._shown = state
            self._recorder.on_state(self.name, state)

    def _on_faults(self) -> None:
        self._read_faults()
        self.show()

    def _set_output_fault(self, sentence: str | None) -> None:
        if sentence != self._output_fault:
            self._faults.set(f"speaker {self.name}", sentence)

    def _read_faults(self) -> None:
        self._output_fault, self._fault = self._faults.of_output(self.name), self._faults.of(self.name)

    # The loop

    async def run(self) -> None:
        """Play what is submitted, forever."""
        while True:
            self._wake.clear()
            has_changed = self._handle_inbox()
            if self._playback is None:
                self._execute(self._scheduler.start_next(_now()))
                has_changed = True
            if has_changed:
                self._settle()
            await self._wake.wait()

    def _handle_inbox(self) -> bool:
        """Give the scheduler the playback events; return whether an action followed, and `_settle` is due."""
        has_changed = False
        while self._inbox:
            event, at = self._inbox.popleft()
            if actions := self._scheduler.playback(event, at):
                self._execute(actions)
                has_changed = True
        return has_changed

    def _post(self, event: PlaybackEvent) -> None:
        self._inbox.append((event, _now()))
        self._wake.set()

    def _do(self, decide: Callable[..., Iterable[Action]], *arguments: object) -> None:
        """Give the scheduler an input, after the playback events that came before it."""
        if self._handle_inbox():
            self._settle()
        self._execute(decide(*arguments, _now()))
        self._settle()
        self._wake.set()

    def _settle(self) -> None:
        """After a change: set the timer again, and report the state."""
        moment = self._scheduler.next_wakeup()
        if self._timer is not None and self._timer.when() != moment:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and moment < math.inf:
            self._timer = asyncio.get_running_loop().call_at(moment, self._on_timer)
        self.show()

    def _on_timer(self) -> None:
        self._timer = None
        self.tick()

    # Actions

    def _execute(self, actions: Iterable[Action]) -> None:  # noqa: C901, PLR0912, PLR0915 - one case each
        for action in actions:
            match action:
                case act.Emit():
                    self._tell(action)
                case act.Play():
                    self._start_playback(action)
                case act.SetVolume():
                    if self._player is not None:
                        self._player.set_volume(action.volume)
                case act.StopNow():
                    if self._playback is not None:
                        self._playback.cancel()
                case act.StopAtPause():
                    if self._player is not None:
                        self._tasks.start("pause", self._player.report_pause())
                case act.CancelStopAtPause():
                    self._tasks.cancel("pause")
                case act.Park():
                    if self._player is not None:
                        self._player.park()
                case act.WatchText():
                    self._tasks.start(("text", action.item), self._watch_text(action.item))
                case act.Prefetch():
                    job = self._job(action.item)
                    job.request(self._age_prefix(action.item, action.by), action.priority)
                    self._tasks.start(action.item, self._watch_clip(action.item, job.clip))
                case act.CancelPrefetch():
                    self._tasks.cancel(action.item)
                    self._job(action.item).cancel_prefetch()
                case act.Escalate():
                    self._escalate(action.announcement)
                case act.Release():
                    self._tasks.cancel(action.item)
                    self._tasks.cancel(("text", action.item))
                    self._jobs.pop(action.item.announcement).leave()
                    if action.keep:
                        self._kept.append(action.item)

    def _start_playback(self, play: act.Play) -> None:
        item = play.item
        player = Player(
            play,
            self._job(item),
            self._output,
            self._chimes,
            report=self._post,
            fault=self._set_output_fault,
        )
        task = asyncio.create_task(player.run(), name=f"{self.name} plays {item.announcement.id}")
        self._player, self._playback = player, task
        task.add_done_callback(lambda task: self._on_playback_end(item, task))

    def _on_playback_end(self, item: QueueItem, task: asyncio.Task[None]) -> None:
        self._player = self._playback = None
        self._tasks.cancel("pause")
        if task.cancelled():
            self._post(act.Stopped(item))
        elif (error := task.exception()) is None:
            self._post(act.Finished(item))
        else:
            if not isinstance(error, OutputError | ClipError):
                logger.error("%s: playback failed", self.name, exc_info=error)
            self._post(act.Failed(item, str(error) or type(error).__name__))

    def _age_prefix(self, item: QueueItem, by: float) -> Callable[[str], str] | None:
        """Return how the text says its age, if it is played late."""
        policy = self.settings.policy
        age_s = by - item.announcement.due
        if policy.say_age is None or age_s < policy.say_age:
            return None
        return lambda text: messages.with_age(text, age_s, policy.language)

    async def _watch_clip(self, item: QueueItem, clip: Clip) -> None:
        with contextlib.suppress(ClipError):  # told when the item is played
            await clip.wait_end()
            self._post(act.Synthesized(item, clip.seconds))

    async def _watch_text(self, item: QueueItem) -> None:
        clip = self._job(item).clip
        with contextlib.suppress(ClipError):  # told when the item is played
            await clip.wait_past(round(item.progress.position_s * clip.rate))
        self._post(act.TextArrived(item))

    def _add_job(self, job: SpeechJob) -> None:
        self._jobs[job.announcement] = job
        job.join()

    def _job(self, item: QueueItem) -> SpeechJob:
        """Return the synthesis job of an item; that of an announcement of the daemon itself is made here."""
        if item.announcement not in self._jobs:
            self._add_job(self._new_job(item.announcement))
        return self._jobs[item.announcement]

    def _tell(self, emit: act.Emit) -> None:
        at = datetime.now(UTC)
        if emit.type in (EventType.STARTED, EventType.RESUMED):
            self._audible_since = at
        event = build_event(emit, self.name, self._job(emit.item), at)
        level = logging.INFO if emit.type.is_outcome else logging.DEBUG
        told = f"{event.event_type}{f' ({event.reason})' if event.reason else ''}"
        told += f" over {event.transport}" if event.transport else ""
        logger.log(level, "%s: %s", self.name, told, extra={"ANNOUNCEMENT_ID": event.id})
        self._recorder.on_event(event, emit.item)


class _TaskSet:
    """Background tasks by key; an unexpected error of one is logged and ends that one only."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    def start(self, key: Hashable, work: Coroutine[None, None, None]) -> None:
        """Start a task, in place of the task with this key."""
        self.cancel(key)
        task = self._tasks[key] = asyncio.create_task(work)
        task.add_done_callback(lambda task: self._on_done(key, task))

    def cancel(self, key: Hashable) -> None:
        if (task := self._tasks.pop(key, None)) is not None:
            task.cancel()

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for key in list(self._tasks):
            self.cancel(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_done(self, key: Hashable, task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a background task of a speaker failed", exc_info=error)


def build_event(emit: act.Emit, speaker: str, job: SpeechJob, at: datetime) -> Event:
    """Return the event that an action tells, as it is published (docs/guides/mqtt.md)."""
    announcement, progress = emit.item.announcement, emit.progress

    def since_arrival_ms(moment: float | None) -> int | None:
        return None if moment is None else max(0, round((moment - announcement.received_monotonic) * 1000))

    return Event(
        event_type=emit.type,
        id=announcement.id,
        speaker=speaker,
        target=announcement.target,
        at=at,
        urgency=announcement.urgency,
        tag=announcement.tag,
        reason=emit.reason,
        repeated=announcement.repeated,
        warnings=announcement.warnings + (announcement.live.warnings if announcement.live else ()),
        transport=job.transport,
        why=job.decision.why if job.decision else None,
        cached=job.cached,
        attempts=tuple(job.attempts),
        ms=Timings(
            queued=since_arrival_ms(job.requested_at),
            first_audio=since_arrival_ms(job.first_audio_at),
            first_sound=since_arrival_ms(progress.first_sound_at),
            first_speech=since_arrival_ms(progress.first_speech_at),
            total=since_arrival_ms(progress.ended_at),
        ),
        spoken_s=progress.spoken_s,
        volume=emit.volume,
        round=progress.round if emit.type is EventType.STARTED else None,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
