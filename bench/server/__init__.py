"""A simulated Lightning server, and a relay that puts it far away; a process of its own."""
