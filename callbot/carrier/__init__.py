"""Twilio's side of the wire, simulated: its own codec and its own books, shared with no bot."""
