"""Which transport sounds first, learned from every request."""
