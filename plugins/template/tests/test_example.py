"""The output keeps the rules, and plays in the daemon."""

import asyncio

from edgevoice_example import Example

from edgevoice.testing import check_output


def test_conforms(tmp_path):
    asyncio.run(check_output(Example, tmp_path, speed=4.0))


def test_in_the_daemon(edgevoice_daemon):
    async def main():
        # The installed package has registered the output.
        speakers = {"kitchen": {"output": {"type": "example", "speed": 4.0}}}
        async with edgevoice_daemon(speakers=speakers) as daemon:
            return await daemon.say("Tea is ready.")

    assert asyncio.run(main()).event_type == "finished"
