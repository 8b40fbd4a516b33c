"""``python -m bana`` is the command ``bana``."""

from bana.cli import main

if __name__ == "__main__":
    main()
