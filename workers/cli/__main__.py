"""`python -m workers.cli`: the same as `voxpop`."""

from workers.cli import main

if __name__ == "__main__":
    main()
