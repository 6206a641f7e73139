"""``python -m nextday`` is the command line."""

from nextday.cli.main import main

if __name__ == "__main__":
    main()
