"""Announcements from an MQTT broker, and what became of them back to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.hookspecs import hookimpl
from edgevoice_plugins.mqtt.source import MqttSource

if TYPE_CHECKING:
    from edgevoice.hookspecs import Registry


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.source("mqtt", MqttSource)
