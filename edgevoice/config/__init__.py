"""The configuration: found, read, checked as a whole, and handed on as frozen values."""

from edgevoice.config.load import (
    Settings,
    check,
    configured_state_dir,
    find_config_file,
    load,
    settings_from,
)

__all__ = ["Settings", "check", "configured_state_dir", "find_config_file", "load", "settings_from"]
