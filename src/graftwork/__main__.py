"""`python -m graftwork`."""

from graftwork.cli.commands import main

if __name__ == "__main__":
    main()
