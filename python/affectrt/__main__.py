"""`python -m affectrt` is the command line."""

from affectrt.cli import main

main()
