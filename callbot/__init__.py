"""callbot: a phone bot that greets once, in full, and hangs up only when the call is over."""

__version__ = "0.1.0"
