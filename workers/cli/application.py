"""The application that every command is put into, what its commands share, and its entry point."""

import os
import sys
import traceback
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from schemas.taxonomy import TaxonomyError
from workers.errors import UsageError, VoxpopError
from workers.settings import Settings, load_settings

app = typer.Typer(
    name="voxpop",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="From a raw text in a Kafka topic to a validated, queryable insight in ClickHouse, on your own machine.",
)

out = Console()
err = Console(stderr=True)
AsJson = Annotated[bool, typer.Option("--json", help="For machines: JSON on standard output.")]
MapOption = Annotated[
    list[str], typer.Option("--map", metavar="COL=FIELD", help="Column -> event field or metadata.KEY. Repeatable.")
]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="FIELD=VALUE", help="A field for every row that lacks it. Repeatable.")
]
TimeFormat = Annotated[
    str | None, typer.Option("--time-format", help="strptime format of the times, when the file does not tell.")
]


def main(arguments: list[str] | None = None) -> NoReturn:
    """The entry point. Exit codes: 0 done, 1 the work failed, 2 wrong use, 3 for `voxpop drift --fail-on`.

    `--debug`, anywhere, adds the trace.
    """
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    try:
        code = app(args=[word for word in words if word != "--debug"], prog_name="voxpop", standalone_mode=False)
    except typer.TyperException as error:
        _wrong_use(error)
    except UsageError as error:
        _fail(error, 2, debug)
    except (VoxpopError, TaxonomyError) as error:
        _fail(error, 1, debug)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains once more
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _wrong_use(error: typer.TyperException) -> NoReturn:
    """One line for a wrong option; the help itself for a bare command that needs a word more."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "voxpop"
    message = error.format_message()
    if "\n" in message:
        typer.echo(message, err=True)
    else:
        err.print(f"{path}: {message} See: {path} --help", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(2)


def _fail(error: Exception, code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exception(error)
    err.print(f"voxpop: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)


def settings_of(*, serving: bool = False) -> Settings:
    """The settings, with logs as they say; `serving` processes tell what their libraries log, too. Raises `UsageError`."""
    from workers.logs import configure_logs

    settings = load_settings()
    configure_logs(settings.log_level, libraries=serving)
    return settings


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(f"voxpop {version('voxpop')}", highlight=False)
        raise typer.Exit


@app.callback()
def voxpop(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Settings: VOXPOP_… variables or voxpop.toml. `--debug`, anywhere, adds the trace to an error."""
