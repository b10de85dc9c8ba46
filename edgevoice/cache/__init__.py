"""Cached clips, and phrases that are rendered in advance."""
