"""What was promised, kept on the disk."""
