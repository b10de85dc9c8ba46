"""Texts: sentences, live text, checks, spoken messages."""
