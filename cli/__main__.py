"""``python -m cli`` is the ``alliance`` command."""

from cli import main

main()
