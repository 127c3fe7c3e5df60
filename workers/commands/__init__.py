"""What each `voxpop` command does and how it shows its result. `workers/cli.py` parses and calls."""
