"""A day of announcements in virtual time: what the network and the server do is known, so every choice can be judged."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.config.options import Route
from edgevoice.synthesis.latency import LatencyModel
from edgevoice.synthesis.routing import DEFAULT_ROUTES, RoutingRequest, decide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOUR = 3600.0
DAY = 24 * HOUR
AUTO_ROUTES = (Route(use="auto"),)
TRANSPORTS = ("http", "http_stream", "websocket")
#: The two kinds of request over HTTP share their connections.
POOL = {"http": "http", "http_stream": "http", "websocket": "websocket"}


@dataclass(frozen=True, slots=True)
class Path:
    """The true times of one transport in seconds: with a warm connection, for opening one, for a character."""

    warm: float
    opening: float
    per_character: float = 0.0


@dataclass(frozen=True, slots=True)
class Slow:
    """The slowdown of a transport between two hours of the day: a factor, and an addition in seconds."""

    transport: str
    begins: float
    ends: float
    times: float = 1.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A network and a server.

    `idle` is for how many seconds connections of each pool outlast the last announcement, `lost` how often
    they are lost before. `noise` is the scatter of a time as a part of it; also, one request in a hundred
    takes up to ten times as long.
    """

    paths: Mapping[str, Path]
    idle: Mapping[str, float]
    lost: float
    noise: float
    slow: tuple[Slow, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """An announcement, and the delay that the network adds to any transport."""

    at: float
    said: RoutingRequest
    noise: Mapping[str, float]
    warm: Mapping[str, bool]

    @property
    def characters(self) -> int:
        return self.said.length or 0


def true_time(scene: Scene, name: str, message: Message) -> float:
    """The seconds to be expected of a transport, for one who knows everything but the noise."""
    path = scene.paths[name]
    seconds = path.warm + path.per_character * message.characters
    seconds += 0.0 if message.warm[name] else path.opening
    for slow in scene.slow:
        if slow.transport == name and slow.begins * HOUR <= message.at < slow.ends * HOUR:
            seconds = seconds * slow.times + slow.seconds
    return seconds


def real_time(scene: Scene, name: str, message: Message) -> float:
    """The seconds it takes in the end."""
    return true_time(scene, name, message) * message.noise[name]


def messages(scene: Scene, seed: int, count: int = 1000) -> list[Message]:
    """A day of announcements: few at night, some in bursts, short ones and reports."""
    chance = random.Random(f"day {seed}")
    at, made = 0.0, list[Message]()
    while len(made) < count:
        hour = at % DAY / HOUR
        gap = DAY / count * (3.0 if hour < 6 or hour >= 23 else 0.78)
        at += chance.expovariate(1 / 4.0) if chance.random() < 0.3 else chance.expovariate(0.7 / gap)
        idle = at - made[-1].at if made else math.inf
        made.append(_message(scene, at, idle, chance))
    return made


def _message(scene: Scene, at: float, idle: float, chance: random.Random) -> Message:
    urgency = chance.choices(tuple(Urgency), (14, 80, 5, 1))[0]
    length = round(chance.lognormvariate(math.log(45), 0.7))
    # A longer text is cut: its first request is no longer than this.
    said = RoutingRequest(urgency=urgency, length=max(4, min(length, 250)))
    noise = {}
    for name in TRANSPORTS:
        noise[name] = chance.lognormvariate(-(scene.noise**2) / 2, scene.noise)
        if chance.random() < 0.01:
            noise[name] *= chance.uniform(3, 10)
    kept = {pool: idle < limit and chance.random() > scene.lost for pool, limit in scene.idle.items()}
    return Message(at, said, noise, {name: kept[POOL[name]] for name in TRANSPORTS})


@dataclass(slots=True)
class Told:
    """The result of a day: the expected seconds to first sound, and the real ones."""

    expected: float = 0.0
    really: float = 0.0
    taken: dict[str, int] = field(default_factory=dict)
    hours: dict[int, list[float]] = field(default_factory=dict)

    def add(self, name: str, at: float, expected: float, really: float) -> None:
        self.expected += expected
        self.really += really
        self.taken[name] = self.taken.get(name, 0) + 1
        self.hours.setdefault(int(at // HOUR), []).append(expected)


Choose = Callable[[Scene, Message], str]


def lived(scene: Scene, day: Sequence[Message], choose: Choose) -> Told:
    """Live through a day, choosing so."""
    told = Told()
    for message in day:
        name = choose(scene, message)
        told.add(name, message.at, true_time(scene, name, message), real_time(scene, name, message))
    return told


def knowing(scene: Scene, message: Message) -> str:
    """The choice of one who knows all but the noise."""
    return min(TRANSPORTS, key=lambda name: true_time(scene, name, message))


def always(name: str) -> Choose:
    return lambda scene, message: name


def by_rules(scene: Scene, message: Message) -> str:
    return decide(message.said, DEFAULT_ROUTES, (*TRANSPORTS, "local")).order[0]


class Auto:
    """The choice of the project: its own latency model, asked and told as the daemon does."""

    def __init__(self, seed: int = 0) -> None:
        self.at = 0.0
        self.model = LatencyModel(lambda: self.at, seed=seed)
        self.why: list[str] = []

    def __call__(self, scene: Scene, message: Message) -> str:
        self.at = message.at
        prediction = self.model.predict(message.characters, message.warm)
        decision = decide(message.said, AUTO_ROUTES, (*TRANSPORTS, "local"), prediction)
        self.why.append(decision.why)
        name = decision.order[0]
        took = real_time(scene, name, message)
        self.model.answered(name, message.characters, took, warm=message.warm[name])
        return name

    @property
    def tried(self) -> int:
        """How often one went first that was not expected to be the quickest."""
        return sum("is tried" in why for why in self.why)


# Times in seconds, of the shapes measured: a warm request is one round trip and the server's own time; opening is two round
# trips more over HTTPS and three more for a WebSocket; a whole answer takes as long as its speech is made, 15 characters
# being one second of speech.
def _scene(
    round_trip: float,
    *,
    tls: bool = True,
    speed: float = 5.0,
    whole: float = 0.09,
    events: float = 0.105,
    line: float = 0.1,
    noise: float = 0.15,
    idle: float = 300.0,
    line_idle: float = 60.0,
    lost: float = 0.02,
    slow: tuple[Slow, ...] = (),
) -> Scene:
    cold = 2 if tls else 1
    return Scene(
        paths={
            "http": Path(round_trip + whole, cold * round_trip, 1 / 15 / speed),
            "http_stream": Path(round_trip + events, cold * round_trip),
            "websocket": Path(round_trip + line, (cold + 1) * round_trip),
        },
        idle={"http": idle, "websocket": line_idle},
        lost=lost,
        noise=noise,
        slow=slow,
    )


SCENES = {
    # A server of one's own: quick, so that a short whole answer is there before a stream has begun.
    "lan": _scene(0.001, tls=False, speed=100, whole=0.04, events=0.075, line=0.07, noise=0.1),
    "lte": _scene(0.06, noise=0.2, idle=75, line_idle=300),
    "satellite": _scene(0.6, noise=0.15, idle=75, line_idle=300),
    # The half of the server that answers over HTTP has a crowd to serve at noon; the vendor ends a silent socket after 60 s.
    "noon": _scene(
        0.04,
        speed=10,
        idle=900,
        line_idle=150,
        slow=(Slow("http", 12, 15, seconds=0.3), Slow("http_stream", 12, 15, seconds=0.3)),
    ),
}
