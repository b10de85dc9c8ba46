"""One speaker: what it has to say, in which order, and how it is said."""
