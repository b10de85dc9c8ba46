"""A cache in a folder of a test, clips for it, and what lies on its disk."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

from edgevoice.audio.clip import Clip, PcmSnapshot
from edgevoice.cache.cache import Cache, KeyScheme
from edgevoice.config import settings_from
from edgevoice.config.options import CacheOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RATE = 24000
KEY_SCHEME = KeyScheme(settings_from("lightning: {base_url: https://example.org}"))
NAME, OTHER = "a" * 40, "b" * 40


def name_of(number: int) -> str:
    return f"{number:040x}"


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def nowhere() -> Path:
    raise AssertionError("no clip may be spooled")


def empty() -> Clip:
    return Clip(RATE, nowhere)


def complete(audio: bytes) -> Clip:
    clip = empty()
    clip.adopt(PcmSnapshot(None, 0, audio))
    return clip


async def heard(clip: Clip) -> bytes:
    """All that a reader of a clip gets."""
    audio = b""
    while pcm := await clip.read(len(audio) // 2):
        audio += pcm
    return audio


async def found(cache: Cache, name: str) -> bytes | None:
    """Return the content of a clip of this name."""
    clip = empty()
    return await heard(clip) if await cache.load_into(clip, name) else None


async def kept(cache: Cache, name: str, audio: bytes) -> None:
    cache.store(name, complete(audio))
    await cache.flush()


def on_disk(folder: Path) -> int:
    """Bytes of all files, also of those half written."""
    total = 0
    for file in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def clips(folder: Path) -> set[str]:
    return {file.stem for file in folder.glob("*.clip")}


@contextlib.asynccontextmanager
async def running(folder: Path, **options: int | bool) -> AsyncIterator[Cache]:
    """A cache that has scanned its folder."""
    async with Cache(folder, CacheOptions(**options), KEY_SCHEME) as cache:  # type: ignore[arg-type]
        await cache.flush()
        yield cache
