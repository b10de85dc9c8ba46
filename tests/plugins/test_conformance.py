"""The bundled plugins pass the conformance suites that authors are given."""

import pytest

from edgevoice import open_http_session
from edgevoice.testing import check_observer, check_output, check_source, check_transport, context
from edgevoice_plugins.lightning.http import HttpTransport
from edgevoice_plugins.lightning.http_stream import HttpStreamTransport
from edgevoice_plugins.lightning.websocket import WebSocketTransport
from edgevoice_plugins.local_voice.transport import LocalVoice
from edgevoice_plugins.mqtt import MqttSource
from edgevoice_plugins.sound_card.output import SoundCard
from edgevoice_plugins.systemd import Systemd
from edgevoice_plugins.wav_file import WavFile


@pytest.mark.parametrize("kind", [HttpTransport, HttpStreamTransport, WebSocketTransport])
async def test_lightning_transport_conforms(kind, lightning, tmp_path):
    async with open_http_session() as session:
        given = context(tmp_path, http_session=lambda: session)
        await check_transport(kind, tmp_path, given=given, base_url=lightning.url, concurrency=2)


async def test_local_voice_conforms(tmp_path):
    await check_transport(LocalVoice, tmp_path)


async def test_wav_file_conforms(tmp_path):
    await check_output(WavFile, tmp_path, path=str(tmp_path / "out.wav"))


async def test_sound_card_conforms(pulse, tmp_path):
    await check_output(SoundCard, tmp_path)


async def test_mqtt_conforms(broker, tmp_path):
    await check_source(MqttSource, tmp_path, host=broker.host, port=broker.port)
    await check_observer(MqttSource, tmp_path, host=broker.host, port=broker.port)


async def test_systemd_conforms(tmp_path):
    await check_observer(Systemd, tmp_path)
