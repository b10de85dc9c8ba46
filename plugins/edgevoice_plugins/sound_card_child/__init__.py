"""The child process that owns the sound card: `python -m edgevoice_plugins.sound_card_child`.

A package of its own, because importing `edgevoice_plugins.sound_card` would load the core, which the child
does not need: it starts in 60 ms instead of 180.
"""
