"""Plugin `mqtt`: announcements from an MQTT broker, and their events back to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice import hookimpl
from edgevoice_plugins.mqtt.source import MqttSource

if TYPE_CHECKING:
    from edgevoice import Registry


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.source("mqtt", MqttSource)
