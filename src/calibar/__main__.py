"""`python -m calibar`."""

from calibar.cli.main import main

main()
