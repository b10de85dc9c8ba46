"""What EdgeVoice is measured beside; each runs in an environment of its own, with nothing of EdgeVoice's."""
