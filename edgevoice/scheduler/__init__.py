"""The scheduler of one speaker: a state machine without I/O, clock, loop or callback."""
