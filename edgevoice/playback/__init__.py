"""Playback: one speaker, the player of one announcement, and where an interrupted one continues."""
