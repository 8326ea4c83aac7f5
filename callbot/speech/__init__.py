"""Making speech and understanding it: voices, recognisers, and the audio between them and a line."""
