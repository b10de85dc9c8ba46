"""Whether what came back is speech of a text, and the server that it came from."""

import array
import itertools
import math
import sys

from smallestai.environment import SmallestAIEnvironment

SHORT = "The garage door is open."
LONG = "The washing machine has finished. Somebody should hang up the laundry before the rain comes."
PIECES = ["The post", "man was ", "here. There", " is a ", "parcel ", "at the door."]


def environment():
    """Every service of the vendor's at the server named on the command line."""
    url = sys.argv[1]
    return SmallestAIEnvironment(atoms=url, waves=url, waves_ws="ws" + url.removeprefix("http"), payment=url)


def api_key():
    return sys.argv[2]


def assert_speech(pcm, rate, text, speed=1.0):
    """It is as long as such a text is, loud enough, and no noise."""
    assert len(pcm) % 2 == 0, "half a sample"
    samples = array.array("h", pcm)
    letters = sum(map(str.isalnum, text))
    seconds = len(samples) / rate * speed
    assert 0.042 * letters <= seconds <= 0.105 * letters + 0.8, f"{seconds:.2f} s for {letters} letters"
    energy = sum(sample * sample for sample in samples)
    assert math.sqrt(energy / len(samples)) > 150, "silence"
    likeness = sum(a * b for a, b in itertools.pairwise(samples)) / energy
    assert likeness > 0.3, f"noise: {likeness:.2f}"


def refused(kind, call):
    """The error of this kind that a call has to end with."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"not refused with {kind.__name__}")


def run(*checks):
    """Run each check; its name is printed once it has passed."""
    for check in checks:
        check()
        print(check.__name__, flush=True)
