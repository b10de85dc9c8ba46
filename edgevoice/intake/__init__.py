"""Intake: validation, limits and dispatch of each command that a source hands over."""
