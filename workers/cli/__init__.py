"""`voxpop …`: parses, calls, prints. What a command does lives elsewhere; imports are late so that --help is quick."""

from workers.cli import keeping, learning, measuring, reading, running
from workers.cli.application import app, main

__all__ = ["app", "main"]

_PANELS = {
    "Run": running.commands,
    "Judge, read, ask": reading.commands,
    "Models": learning.commands,
    "Keep and watch": keeping.commands,
    "Measure": measuring.commands,
}
for _panel, _commands in _PANELS.items():
    for _command in _commands.registered_commands:
        _command.rich_help_panel = _panel
    for _group in _commands.registered_groups:
        _group.rich_help_panel = _panel
    app.add_typer(_commands)
