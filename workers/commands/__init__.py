"""What each `voxpop` command does and how it shows its result. `workers/cli` parses and calls."""
