"""The console script: commands, errors and exit codes. Each command has its own file and imports late."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

import harness
from harness.cli import (
    bundle,
    cache,
    check,
    compare,
    data,
    describe_video,
    doctor,
    explain,
    export_tasks,
    features,
    importing,
    leaderboard,
    listing,
    literature,
    power,
    prompt,
    report,
    show,
    slices,
    tune,
)
from harness.cli import run as run_command
from harness.cli.argv import expand_repeated
from harness.cli.output import clean, note, print_error, print_traceback
from harness.errors import HarnessError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compare systems for emotion recognition in conversations: shared splits, stored predictions, honest tests.",
)
app.command()(run_command.run)
app.command()(tune.tune)
app.command()(show.show)
app.command()(compare.compare)
app.command()(slices.slices)
app.command()(leaderboard.export)
app.command()(report.report)
app.command()(bundle.bundle)
app.command()(bundle.verify)
app.command()(export_tasks.export_tasks)
app.command()(power.power)
app.command()(explain.explain)
app.command()(check.check)
app.command()(doctor.doctor)
app.add_typer(listing.app, name="list")
data.app.command()(describe_video.describe_video)
app.add_typer(data.app, name="data")
app.add_typer(features.app, name="features")
app.add_typer(importing.app, name="import")
app.add_typer(cache.app, name="cache")
app.add_typer(prompt.app, name="prompt")
app.add_typer(leaderboard.app, name="leaderboard")
app.add_typer(literature.app, name="literature")


def _version(asked: bool) -> None:
    if asked:
        print(f"erc-harness {harness.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options before the command."""


def _usage(error: Any) -> str:
    """Returns what the option parser has to say: its help where a command is missing, else one line."""
    message = error.format_message()
    if "\n" in message:
        return str(message)
    command_path = error.ctx.command_path if getattr(error, "ctx", None) else "erc-harness"
    return f"error: {clean(message).rstrip('.')}; type: {command_path} --help"


def main() -> None:
    """Runs the command line; exits with 0 done, 1 a bug, 2 a deliberate error, 3 incomplete runs, 130 interrupted."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=expand_repeated(sys.argv[1:]), prog_name="erc-harness", standalone_mode=False)
    except HarnessError as error:
        note(f"error: {clean(error)}")
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:  # the reader of a pipe has gone, such as `| head`
        sys.stderr.close()
        code = 0
    except Exception as error:
        if hasattr(error, "format_message"):
            print_error(_usage(error))  # a usage error of the option parser
            code = 2
        else:
            print_traceback(error)
            code = 1
    if code == 130:  # the option parser may have turned the interrupt into its exit code already
        print("interrupted; repeat the command to go on", file=sys.stderr)
    sys.exit(code)
