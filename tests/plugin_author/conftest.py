"""The package is tested where it is installed, not here."""

collect_ignore = ["package"]
