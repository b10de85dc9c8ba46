"""A simulated Lightning server and a relay that adds round-trip time, in a process of their own."""
