"""Audio as s16le mono PCM: clips, gain, silence detection, chimes, sample rates."""

#: A frame is one sample: 16 bit, mono.
BYTES_PER_FRAME = 2
