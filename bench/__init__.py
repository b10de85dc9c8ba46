"""EdgeVoice measured beside a reference and whichever peers are installed."""
