"""Texts: sentences, live text, strict JSON, spoken messages, suggestions."""
