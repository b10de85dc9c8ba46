"""How a text becomes the audio of a clip."""
