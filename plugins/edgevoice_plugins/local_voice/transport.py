"""The transport `local`: the local voice for one announcement."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar, Self

from edgevoice import NoOptions, Role, Transport, TransportError, WordMark
from edgevoice_plugins.local_voice import pool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType

    from edgevoice import Context, SpeechRequest


class LocalVoice(Transport):
    """Speaks without any network; its child process starts with the first request.

    It has no `voice_identity`: it begins to speak within 2 ms, so a cached clip would gain nothing.
    """

    role: ClassVar[Role] = Role.FALLBACK

    def __init__(self, context: Context, options: NoOptions) -> None:
        super().__init__(context, options)
        self._pool = pool.VoicePool()

    @classmethod
    def missing_dependency(cls) -> str | None:
        return pool.missing_dependency()

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[bytes]:
        """Yield the speech of `request.text`.

        Raises:
            TransportError: nothing in the text can be spoken, or the voice's process died.
        """
        speech = self._pool.speak(
            request.text or "",
            voice=request.voice or self.context.speech.voice or "",
            language=request.language,
            speed=request.speed,
            rate=request.sample_rate,
        )
        has_audio = False
        async with aclosing(speech):
            async for part in speech:
                if isinstance(part, bytes):
                    has_audio = True
                    yield part
                else:
                    request.marks.append(WordMark(part.word, part.start, part.end))
        if not has_audio:
            raise TransportError("the local voice finds nothing to speak in this text")
