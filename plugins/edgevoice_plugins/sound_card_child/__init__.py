"""The process that owns the sound card: `python -m edgevoice_plugins.sound_card_child`.

A package of its own, since all of `edgevoice_plugins.sound_card` brings the core with it, which
a process that only hands frames to PortAudio has no use for.
"""
