"""`python -m mobilesam`."""

from .cli.main import main

main()
