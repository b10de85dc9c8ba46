import asyncio, json, pytest
from tests.support.broker import Broker
from tests.support.house import House

@pytest.fixture(scope="module")
def broker():
    with Broker() as running:
        yield running

def ends(house):
    return [(m.json.get("id"), m.json["event_type"], m.json.get("reason"), m.json.get("repeated")) for m in house.events.messages if "event_type" in m.json]

async def test_term(broker):
    async with House(broker, pace=False) as house:
        await house.client.publish("edgevoice/kitchen/mute/set", "ON")
        await house.client.publish("edgevoice/kitchen/stream/live-1", '{"urgency": "high", "text": "Hello there. This is it."}')
        await house.client.publish("edgevoice/kitchen/stream/live-1", "")
        await house.step("live-1", "held")
        await house.say("Critical one.", id="c", urgency="high")
        await house.step("c", "held")
        await house.client.publish("edgevoice/kitchen/replay", "1")
        await asyncio.sleep(0.5)
        await house.leave()
        await asyncio.sleep(0.3)
        print("\nTERM", ends(house))
        await house.again()
        await asyncio.sleep(0.5)
        print("AGAIN", ends(house)[-6:])

async def test_mute_mid(broker):
    async with House(broker, pace=True) as house:
        await house.say("This is a long sentence. " * 6, id="long")
        await house.step("long", "started")
        await house.client.publish("edgevoice/kitchen/mute/set", "ON")
        await house.step("long", "held")
        await house.client.publish("edgevoice/kitchen/mute/set", "OFF")
        await asyncio.sleep(2.5)
        print("\nMUTE", ends(house))
        await house.client.publish("edgevoice/kitchen/digest", "PRESS")
        print(await house.outcome("long"))

async def test_leak(broker):
    async with House(broker, pace=False, speakers={"kitchen": {"groups": ["downstairs"]}, "study": {}}) as house:
        await house.say("Water.", to="downstairs", id="w", tag="leak", urgency="critical", repeat={"until_ack": True, "every": 5, "escalate": {"after": 1, "to": ["all"]}})
        await asyncio.sleep(6.5)
        await house.say("Dry again.", to="all", id="dry", tag="leak", resolves=True)
        await house.outcome("dry", speaker="study"); await house.outcome("dry", speaker="kitchen")
        print("\nLEAK", [(m.json.get("speaker"), m.json.get("id"), m.json["event_type"], m.json.get("reason"), m.json.get("round")) for m in house.events.messages])

async def test_storm(broker):
    async with House(broker, pace=False, limits={}) as house:
        for n in range(9):
            await house.say(f"Chatter {n}.", id=f"s{n}")
        await house.outcome("s8")
        await asyncio.sleep(11)
        print("\nSTORM", [(m.json.get("id"), m.json["event_type"], m.json.get("reason")) for m in house.events.messages if m.json["event_type"] not in ("queued", "started")])

async def test_dnd(broker):
    async with House(broker, pace=False) as house:
        dnd = await house.client.collect("edgevoice/kitchen/dnd")
        for value in ("180", "OFF", "1", "0", "True", "x", ""):
            await house.client.publish("edgevoice/all/dnd/set", value)
            await asyncio.sleep(0.1)
        print("\nDND", [m.payload for m in dnd.messages], [m.json for m in house.events.messages][-2:])
