"""Makes `python -m medzoo` the command line."""

from medzoo.cli import main

if __name__ == "__main__":
    main()
