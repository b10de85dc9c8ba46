"""What becomes of each command that a source hands over."""
