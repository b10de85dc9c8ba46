"""Clips that were said before, and phrases that are kept ready."""
