"""The peers of EdgeVoice in the bench; each runs in an environment of its own, without EdgeVoice's packages."""
