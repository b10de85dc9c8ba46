"""The one SQLite database: what must outlive the process."""
