"""The command line: `affectrt demo | run | chat | eval | packs | doctor | bench`, and what other packages add to it."""

from __future__ import annotations


def main() -> None:
    """Run the command line on `sys.argv` and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    from affectrt.cli.app import main as run

    run()
