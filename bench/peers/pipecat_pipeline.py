"""Pipecat's service for Smallest AI in a pipeline that ends at its local audio; an urgent message interrupts the pipeline first."""

from __future__ import annotations

import asyncio
import sys

from loguru import logger

logger.remove()
logger.add(sys.stderr, level="WARNING")

from pipecat.frames.frames import InterruptionFrame, TTSSpeakFrame  # noqa: E402
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.pipeline.runner import PipelineRunner  # noqa: E402
from pipecat.pipeline.task import PipelineParams, PipelineTask  # noqa: E402
from pipecat.services.smallest.tts import SmallestTTSService  # noqa: E402
from pipecat.transports.local.audio import LocalAudioTransport, LocalAudioTransportParams  # noqa: E402

from bench.peers.wire import KEY, RATE, VOICE, WS, texts  # noqa: E402

#: Its pipeline says nothing of when it has started; taken off the time it needs to be ready.
STARTS_S = 1.0


async def main() -> None:
    parameters = LocalAudioTransportParams(
        audio_out_enabled=True, audio_in_enabled=False, audio_out_sample_rate=RATE
    )
    settings = SmallestTTSService.Settings(voice=VOICE, model="lightning_v3.1")
    speech = SmallestTTSService(api_key=KEY, base_url=WS, sample_rate=RATE, settings=settings)
    pipeline = Pipeline([speech, LocalAudioTransport(parameters).output()])
    task = PipelineTask(
        pipeline, params=PipelineParams(audio_out_sample_rate=RATE), cancel_on_idle_timeout=False
    )

    async def feed() -> None:
        await asyncio.sleep(STARTS_S)
        async for text, is_urgent in texts():
            if is_urgent:
                await task.queue_frame(InterruptionFrame())
            await task.queue_frame(TTSSpeakFrame(text))

    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        await PipelineRunner(handle_sigint=False).run(task)


if __name__ == "__main__":
    asyncio.run(main())
