"""The contract's rules of urgency, told once more as plainly as can be, to compare the real ones with.

Everything stands in three lists, cuts take no time, and nothing is fast. Longer than others: taken apart, it
would have to be as clever as what it checks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

RANK = {"low": 0, "normal": 1, "high": 2, "critical": 3}
DAY, HOUR = 86_400, 3_600
OWN = "own"


@dataclass(eq=False)
class Item:
    """An announcement on one speaker."""

    name: str
    urgency: str
    due: float
    ttl: float
    tag: str | None = None
    text: str = ""
    topic: str | None = None
    resolves: bool = False
    #: How often it is said; 0 is until it is acknowledged, None that it does not insist.
    rounds: int | None = None
    every: float = 0.0
    seq: int = 0
    #: Higher is nearer to its turn, within its urgency.
    place: int = 0
    round: int = 1
    heard: float = 0.0
    earlier: float = 0.0
    first: float | None = None
    sounds: bool = False
    interrupted: bool = False
    successor: Item | None = None
    deadline: float | None = None
    held_at: float = 0.0
    reader: Item | None = None
    interrupted_by: Item | None = None

    def __post_init__(self) -> None:
        self.deadline = self.due + self.ttl

    @property
    def order(self) -> tuple[int, int, int]:
        return -RANK[self.urgency], -self.place, self.seq


@dataclass
class Reference:
    """A speaker of the reference model."""

    digest: str = "on_request"
    limit: int = 12
    keep_held: float = 12 * HOUR
    now: float = 1000.0
    mute: bool = False
    dnd: bool = False
    night: bool = False
    waiting: list[Item] = field(default_factory=list)
    held: list[Item] = field(default_factory=list)
    said: Item | None = None
    outcomes: list[tuple[str, str, str | None]] = field(default_factory=list)
    finished: dict[str, float] = field(default_factory=dict)
    displaced: list[Item] = field(default_factory=list)
    count: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    seen: tuple[bool, bool, bool] = (False, False, False)

    # What happens

    def arrive(self, item: Item) -> None:
        self.time_passes()
        alive = [*self.waiting, *self.held, *([self.said] if self.said else [])]
        if any(other.name == item.name for other in alive) or self.finished.get(item.name, 0) > self.now:
            return
        item.seq = next(self.count)
        said = self.said
        critical = said and said.successor is None and item.urgency == said.urgency == "critical"
        if critical and self.same_alarm(item, said):
            self.end(item, "replaced", "the same is being said")
            return
        both_critical = said and item.urgency == said.urgency == "critical"
        if both_critical and item.tag and item.tag == said.tag and not self.same_alarm(item, said):
            item.place = next(self.count)
        if said and self.takes_place(item, said):
            said.successor = item
        for other in sorted(
            [o for o in alive if o is not said and self.takes_place(item, o)], key=lambda o: o.seq
        ):
            if other.urgency == item.urgency:
                item.seq, item.place = min(item.seq, other.seq), max(item.place, other.place)
            self.replaced(other, item)
        self.keep(item)
        self.settle()

    def admission(self, name: str, urgency: str, more: dict[str, Any]) -> str:
        """Return the fate of an announcement if it came now."""
        alive = [*self.waiting, *self.held, *([self.said] if self.said else [])]
        if any(other.name == name for other in alive) or self.finished.get(name, 0) > self.now:
            return "DUPLICATE"
        said = self.said
        both = said is not None and said.successor is None and urgency == said.urgency == "critical"
        return "COALESCED" if both and not more["resolves"] and more["text"] == said.text else "QUEUED"

    def stop(self, what: str) -> None:
        alive = [*self.waiting, *self.held, *([self.said] if self.said else [])]
        if what == "":
            wanted = [self.said] if self.said else []
            for one in wanted:
                wanted += [other for other in alive if other.interrupted_by is one]
        elif what == "all":
            wanted = alive
        else:
            wanted = [i for i in alive if i.name == what] or [i for i in alive if i.tag == what]
        for item in wanted:
            self.end(item, "cancelled", "stop")
        self.settle()

    def acknowledge(self, what: str) -> None:
        for item in [*self.waiting, *self.held, *([self.said] if self.said else [])]:
            if item.rounds is not None and what in ("", item.name):
                self.end(item, "finished", "acknowledged")
        self.settle()

    def sound(self) -> None:
        self.said.first = self.said.first or self.now
        self.said.sounds, self.said.deadline = True, None

    def hear(self, seconds: float) -> None:
        self.now += seconds
        self.said.heard += seconds
        self.settle()

    def pause_comes(self) -> None:
        if any(RANK[item.urgency] == 2 for item in self.ready()) and RANK[self.said.urgency] < 2:
            self.displace(None)
        self.settle()

    def finish(self) -> None:
        item = self.said
        if item.first is None:
            self.end(item, "failed", "there was nothing to say")
        elif item.rounds is None:
            self.end(item, "finished", None)
        elif item.successor is not None:
            self.replaced(item, item.successor)
        else:
            until_ack = item.rounds == 0
            more = self.now - item.first + item.every <= HOUR if until_ack else item.round < item.rounds
            if not more:
                self.end(item, "finished", "times")
            else:
                self.said = None
                item.earlier, item.heard, item.round = item.earlier + item.heard, 0.0, item.round + 1
                item.sounds = item.interrupted = False
                item.due, item.deadline, item.place = self.now + item.every, None, 0
                self.keep(item)
        self.settle()

    def fail(self) -> None:
        self.end(self.said, "failed", "broken")
        self.settle()

    def restart(self, *, crash: bool) -> list[Item]:
        """End the daemon; return what the next start brings back, the oldest first.

        All that waits or is held, and what is high or critical and cut off; after a crash all that is high or
        critical. What the daemon itself says fails, or is forgotten.
        """
        alive = [*self.waiting, *self.held, *([self.said] if self.said else [])]
        if not crash:
            said = self.said
            cut_off = said if said and said.sounds and RANK[said.urgency] < 2 else None
            lost = [item for item in alive if item.name == OWN or item is cut_off]
            self.outcomes += [(item.name, "failed", "restart") for item in lost]
            alive = [item for item in alive if item not in lost]
        kept = [item for item in alive if item.name != OWN and (not crash or RANK[item.urgency] >= 2)]
        self.waiting, self.held, self.displaced, self.said = [], [], [], None
        self.seen = (False, False, False)
        return sorted(kept, key=lambda item: item.seq)

    def read(self) -> None:
        unread = [item for item in self.held if item.reader is None]
        newest = {item.tag: item for item in unread if item.tag}
        items = [item for item in unread if newest.get(item.tag, item) is item][:10]
        if items:
            reader = self.say_own(None)
            for item in unread:
                if newest.get(item.tag, item) in items and reader in self.waiting:
                    item.reader = reader

    def next_moment(self) -> float | None:
        """When time itself changes something next."""
        moments = [item.due for item in self.waiting if item.due > self.now]
        items = [*self.waiting, *([self.said] if self.said else [])]
        moments += [item.deadline for item in items if item.deadline is not None]
        moments += [item.held_at + self.keep_held for item in self.held if item.reader is None]
        return min(moments, default=None)

    # What follows from it

    def settle(self) -> None:
        """Until nothing changes any more."""
        while True:
            ended = None
            while ended != len(self.outcomes):
                ended = len(self.outcomes)
                self.time_passes()
            if self.said is None and (ready := self.ready()):
                self.said = ready[0]
                self.waiting.remove(self.said)
                self.said.sounds = False
                for item in self.displaced:
                    item.interrupted_by = self.said
                self.displaced, self.said.interrupted_by = [], None
            elif self.said is None or not self.cut_in():
                return

    def cut_in(self) -> bool:
        said = self.said
        for item in self.ready():
            if item.urgency == said.urgency and item.seq < said.seq:
                continue
            if item.urgency == said.urgency == "critical":
                same_tag = item.tag is not None and item.tag == said.tag
                another = not same_tag and (
                    item.topic is None or (item.topic, item.tag) != (said.topic, said.tag)
                )
                joins = self.same_alarm(item, said)
                if not joins and another and said.earlier + said.heard >= 5:
                    self.displace(item)
                    return True
            elif item.urgency == "critical" or (
                item.urgency == "high" and RANK[said.urgency] < 2 and not said.sounds
            ):
                self.displace(item)
                return True
        return False

    def displace(self, by: Item | None) -> None:
        item, self.said = self.said, None
        if item.successor is not None:
            self.replaced(item, item.successor)
            if by is not None and by in self.waiting and by.order > item.order:
                by.place = next(self.count)
            return
        full = sum(other.interrupted for other in self.waiting) >= 4
        if item.sounds:
            item.sounds, item.interrupted, item.place = False, True, next(self.count)
            item.deadline = self.now + item.ttl
        if item.interrupted and full and self.why_held(item) is None:
            self.end(item, "cancelled", "overflow")
        else:
            self.keep(item)
            if item in self.waiting:
                self.displaced.append(item)
        if by is not None and by in self.waiting and by.order > item.order:
            by.place = next(self.count)

    def time_passes(self) -> None:
        before, self.seen = self.seen, (self.mute, self.dnd, self.night)
        self.grow_stale()
        self.hold_what_may_not_be_said()
        if (self.mute and not before[0]) or (self.dnd and not before[1]):
            for item in [*self.waiting, *([self.said] if self.said else [])]:
                if item.name == OWN:
                    self.end(item, "cancelled", "stop")
        if self.digest == "off":
            self.let_go()
        elif any(before) and not any(self.seen):
            self.quiet_ends()
        said = self.said
        if said and said.deadline is not None and said.deadline <= self.now and not said.sounds:
            self.end(said, "expired", "ttl")
        elif said and self.why_held(said):
            self.displace(None)

    def grow_stale(self) -> None:
        for item in [i for i in self.waiting if i.deadline is not None and i.deadline <= self.now]:
            self.end(item, "expired", "ttl")
        for item in [i for i in self.held if i.reader is None and i.held_at + self.keep_held <= self.now]:
            self.end(item, "expired", "held too long")

    def hold_what_may_not_be_said(self) -> None:
        for item in sorted([i for i in self.waiting if self.why_held(i)], key=lambda i: i.order):
            self.waiting.remove(item)
            self.hold(item)

    def let_go(self) -> None:
        for item in [i for i in self.held if i.reader is None and not self.why_held(i)]:
            self.held.remove(item)
            if item.deadline is not None:
                item.deadline += self.now - item.held_at
            self.keep(item)

    def quiet_ends(self) -> None:
        if self.digest == "at_end":
            self.read()
        elif any(item.reader is None for item in self.held):
            self.say_own("edgevoice-held")

    def say_own(self, tag: str | None) -> Item:
        item = Item(OWN, "normal", self.now, 300.0, tag=tag, seq=next(self.count))
        for other in [i for i in self.waiting if tag and i.tag == tag]:
            item.seq, item.place = min(item.seq, other.seq), max(item.place, other.place)
            self.end(other, "replaced", "by own")
        self.keep(item)
        return item

    def keep(self, item: Item) -> None:
        if self.why_held(item):
            self.hold(item)
            return
        if item.interrupted and sum(other.interrupted for other in self.waiting) >= 4:
            self.end(item, "cancelled", "overflow")
            return
        self.waiting.append(item)
        self.bound(self.waiting)

    def hold(self, item: Item) -> None:
        item.held_at = self.now
        self.held.append(item)
        self.bound(self.held)

    def bound(self, items: list[Item]) -> None:
        if len(items) > self.limit:
            least = min(items, key=lambda i: (RANK[i.urgency], i.seq))
            self.end(least, "cancelled" if least.first is not None else "suppressed", "overflow")

    def why_held(self, item: Item) -> bool:
        if item.name == OWN or item.due > self.now or item.urgency == "critical":
            return False
        quiet = self.night and item.urgency != "high" and not item.sounds and not item.interrupted
        return self.mute or self.dnd or quiet

    def ready(self) -> list[Item]:
        return sorted([i for i in self.waiting if i.due <= self.now], key=lambda i: i.order)

    def replaced(self, item: Item, by: Item) -> None:
        resolved = by.resolves and item.rounds is not None
        self.end(item, *(("finished", "resolved") if resolved else ("replaced", f"by {by.name}")))

    def end(self, item: Item, step: str, reason: str | None) -> None:
        self.outcomes.append((item.name, step, reason))
        for items in (self.waiting, self.held):
            if item in items:
                items.remove(item)
        if self.said is item:
            self.said = None
        if step == "finished" and item.name != OWN:
            self.finished[item.name] = self.now + DAY
        for read in [other for other in self.held if other.reader is item]:
            read.reader = None
            if step == "finished":
                self.end(read, "finished", "digest")
        if item.name == OWN and item.tag is None and step == "finished":
            self.read_on()

    def read_on(self) -> None:
        if self.digest == "at_end" and not any(self.seen):
            self.read()

    @staticmethod
    def same_alarm(new: Item, old: Item) -> bool:
        return not new.resolves and new.text == old.text

    @staticmethod
    def takes_place(new: Item, old: Item) -> bool:
        if new.tag is None or new.tag != old.tag:
            return False
        return new.resolves or RANK[new.urgency] >= RANK[old.urgency]
