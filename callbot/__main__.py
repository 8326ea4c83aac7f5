"""``python -m callbot`` is the ``callbot`` command."""

from callbot.cli.app import main

main()
