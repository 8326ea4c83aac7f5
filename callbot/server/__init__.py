"""The web application behind Twilio: webhooks, greeting audio, media sockets, calls that survive it."""
