"""The Lightning wire protocol without any socket: what the three transports and the local server share."""
