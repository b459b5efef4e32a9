"""Commands about a work folder and this machine, which need no experiment file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.base.console import Console, emit_json
from harness.cli.options import DEFAULT_WORKDIR, Json, Workdir, app


def _print(lines: list[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


@app.command()
def status(
    experiment: Annotated[
        Path | None,
        typer.Argument(metavar="EXPERIMENT", help="its file, or its name in the work folder"),
    ] = None,
    workdir: Workdir = DEFAULT_WORKDIR,
    json: Json = False,
) -> None:
    """What goes on: jobs, epochs, losses, time left, failures.

    Only reads, so it may be typed at any time, beside a running command. Without an experiment it
    lists those of the work folder.
    """
    from harness.commands import status_text as text
    from harness.commands.status import status as find

    found = find(workdir, experiment)
    if json:
        emit_json(found)
    else:
        _print(text.overview(found) if experiment is None else text.in_full(found))
    if experiment is not None and text.then(found):
        Console().say(f"next: {text.then(found)}")


@app.command()
def doctor(
    folder: Annotated[
        Path | None, typer.Argument(metavar="WORKDIR", help="verify every file of this work folder")
    ] = None,
    workdir: Workdir = DEFAULT_WORKDIR,
    json: Json = False,
) -> None:
    """Look whether this machine is ready, or a work folder undamaged.

    Looks at GPU, memory, disk, packages, weights; every line is ok, a warning with what to do, or a
    fault. `harness doctor WORKDIR` reads all files of a work folder instead and lists those that
    are damaged, with what is made again. Exits with 3 where runs are impossible or files damaged.
    """
    if folder is not None:
        _verify(folder, json)
        return
    from harness.commands.doctor.command import doctor as examine
    from harness.commands.doctor.command import lines

    found = examine(workdir)
    if json:
        emit_json(found)
    else:
        _print(lines(found))
    if not found["possible"]:
        raise typer.Exit(3)


def _verify(folder: Path, json: bool) -> None:
    from harness.commands.doctor.work_folder import lines, verify

    found = verify(folder)
    if json:
        emit_json(found)
    else:
        _print(lines(found))
    if found["damaged"]:
        raise typer.Exit(3)


@app.command()
def clean(
    workdir: Workdir = DEFAULT_WORKDIR,
    yes: Annotated[bool, typer.Option("--yes", help="delete it; without, it is listed")] = False,
    json: Json = False,
) -> None:
    """List what nothing needs any more; with --yes, delete it.

    Results, checkpoints, journals, chosen settings and openings stay, whoever made them.
    """
    from harness.commands.clean import clean as tidy
    from harness.commands.clean import lines

    found = tidy(workdir, delete=yes)
    if json:
        emit_json(found)
    else:
        _print(lines(found))
