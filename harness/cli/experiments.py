"""Commands of an experiment, in the order of a run; each goes on where it stopped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.base.console import emit_json
from harness.base.disk import may_write
from harness.base.errors import ConfigError, EnvironmentFault
from harness.base.text import meant
from harness.cli.options import Options, experiment_command

NOTHING = "nothing was trained"

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="say jobs, time, memory and disk; train nothing")
]


@experiment_command()
def run(options: Options, only_say: DryRun = False) -> None:
    """Prepare, sweep, compare and report, as the experiment declares."""
    session = options.session()
    from harness.commands.run import dry_run, run_all

    with session.open(track=not only_say):
        found = dry_run(session) if only_say else run_all(session)
    where = NOTHING if only_say else f"report: {found['report']}"
    then = options.next("run") if only_say else options.next("report", "--open")
    options.finish(found, where, then)


@experiment_command()
def prepare(options: Options) -> None:
    """Read the patients, give them roles, cut pairs."""
    session = options.session()
    from harness.commands.prepare import prepare_data

    with session.open():
        found = prepare_data(session)
    then = "run" if session.experiment.mask.learns == "mask" else "sweep"
    options.finish(found, f"store: {found['store']}", options.next(then, "--dry-run"))


@experiment_command()
def sweep(
    options: Options,
    stage: Annotated[str, typer.Option(help="mask, image, segmentation or all")] = "all",
    trials: Annotated[int | None, typer.Option(min=1, help="settings to try, per stage")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="trainings per trial")] = None,
    only_say: DryRun = False,
) -> None:
    """Search the settings of both stages; freeze the best."""
    loaded = options.experiment()
    from harness.commands.sweep import dry_run_sweep, run_sweep, stages_of

    stages = stages_of(stage, loaded)
    if seeds is not None:
        options.override(f"sweep.seeds={seeds}")
    if trials is not None:
        studies = [name for name in stages if name != "segmentation"]  # which has no study
        options.override(*(f"sweep.{name}.trials={trials}" for name in studies))
    with options.session().open(track=not only_say) as session:
        found = dry_run_sweep(session, stages) if only_say else run_sweep(session, stages)
    where = NOTHING if only_say else f"chosen settings: {found['chosen'] or 'none'}"
    then = "compare" if session.experiment.mask.learns == "mask" else "report"
    again = options.next("sweep", *(() if stage == "all" else ("--stage", stage)))
    options.finish(found, where, again if only_say else options.next(then))


@experiment_command()
def compare(
    options: Options,
    only_say: DryRun = False,
    declare: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="write the decision rule, dated, to a new file; no more"),
    ] = None,
) -> None:
    """Train every arm, evaluate on the test patients once, decide."""
    if only_say and declare is not None:
        raise ConfigError(
            f"--declare must be typed without --dry-run, but got '{declare}' and --dry-run; leave "
            "one of them out"
        )
    session = options.session()
    from harness.commands.compare import dry_run, run_compare
    from harness.commands.declare import declare_rule

    with session.open(track=not only_say and declare is None):
        if declare is not None:
            found, where = declare_rule(session, declare), f"rule: {declare}"
        elif only_say:
            found, where = dry_run(session), NOTHING
        else:
            found = run_compare(session)
            where = f"scores: {found['scores']}"
    options.finish(found, where, options.next("report" if "scores" in found else "compare"))


@experiment_command(jobs=False)
def collapse(
    options: Options,
    fail_on: Annotated[
        str | None, typer.Option(metavar="collapse", help="exit 4 if a seed collapsed")
    ] = None,
) -> None:
    """Judge every seed of the sweeps against real patients."""
    if fail_on not in (None, "collapse"):
        raise ConfigError(f"--fail-on must be collapse, but got '{fail_on}'; type collapse")
    session = options.session(reads_patients=False)
    from harness.commands.collapse import run_collapse

    found = run_collapse(session)
    if not options.json:
        sys.stdout.write(found["verdict"] + "\n")
    sound = not found["collapsed"] and session.experiment.mask.learns == "mask"
    then = options.next("compare") if sound else options.next("report", "--open")
    options.finish(found, f"evidence: {found['report']}" if found["report"] else "", then)
    if fail_on and found["collapsed"]:
        raise typer.Exit(4)


@experiment_command()
def plan(
    options: Options,
    hours: Annotated[float | None, typer.Option(help="that the comparison may take")] = None,
    spread: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="scores of a finished comparison on other patients, whose spread it goes by; "
            "default: decision.assumed",
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=1, help="simulated comparisons per true difference")
    ] = 20_000,
) -> None:
    """Say the cheapest design that sees the margin; train nothing."""
    session = options.session(reads_patients=may_write(options.workdir))
    from harness.commands.plan.command import plan_comparison

    found = plan_comparison(session, spread, hours, repeats)
    if not options.json:
        sys.stdout.write(found["verdict"] + "\n")
    where = f"rates: {found['table']}" if found["table"] else ""
    options.finish(found, where, options.next("compare", "--dry-run"))


@experiment_command()
def calibrate(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="collapse or memorisation")],
    options: Options,
    images: Annotated[
        list[int] | None, typer.Option(min=20, help="synthetic images a set; repeatable")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="deals of the patients, per number")] = 200,
) -> None:
    """Plant failures in your own data, count what is detected.

    Counts false alarms as well.
    """
    known = ("collapse", "memorisation")
    if what not in known:
        hint = meant(what, known, "; name one of them")
        if what == "comparison":
            hint = "; harness plan says what a comparison can see"
        raise ConfigError(f"calibrate needs one of: {', '.join(known)}; but got '{what}'{hint}")
    session = options.session()
    from harness.commands.calibrate import calibrate_verdict

    with session.open():
        found = calibrate_verdict(session, what, images or [100, 200, 300], repeats)
    if not options.json:
        sys.stdout.write(found["verdict"] + "\n")
    options.finish(found, f"rates: {found['table']}", options.pages())


@experiment_command(jobs=False)
def report(
    options: Options,
    publish: Annotated[
        Path | None,
        typer.Option(
            metavar="<path>", help="copy it to FOLDER/NAME too, listed in FOLDER/README.md"
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="open the page in the browser")] = False,
) -> None:
    """Write the page and tables from what is finished."""
    session = options.session(reads_patients=False)
    from harness.commands.browser import open_page
    from harness.commands.report import write_page

    found = write_page(session, publish)
    then = options.pages() if found["finished"] else options.next("run")
    where = f"report: {found['report']}"
    if found["published"]:
        where += f"\npublished: {found['published']}"
    if show:
        where += f"\n{open_page(Path(found['report']))}".rstrip()
    options.finish(found, where, then)


@experiment_command(jobs=False)
def ui(
    options: Options,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 5000,
) -> None:
    """Open the runs in MLflow: start its server, print the links."""
    from harness.commands.studies import dashboards
    from harness.jobs.folder import WorkFolder
    from harness.tracking.ui import ui as start

    loaded = options.experiment()
    if loaded.tracking.uri is None:
        WorkFolder.existing(options.workdir)
    else:
        options.check_workdir()
    try:
        studies = dashboards(loaded, options.workdir)
    except EnvironmentFault as fault:  # MLflow's pages open all the same
        options.console.say(str(fault))
        studies = {}
    start(
        options.workdir,
        loaded.tracking.uri,
        loaded.name,
        port,
        options.console.say,
        emit_json if options.json else lambda links: None,
        studies,
    )
