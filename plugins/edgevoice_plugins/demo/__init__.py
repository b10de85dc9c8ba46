"""`edgevoice demo`: all of EdgeVoice in one process tree, without an account, a broker or a sound card."""
