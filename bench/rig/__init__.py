"""The test rig: sound server, broker, simulated Lightning server, contestants, and the monitor of a sink."""
