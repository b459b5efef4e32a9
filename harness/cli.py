"""The command line: parse, call the workflow, print what to type next.

Heavy libraries are imported inside commands, so that `--help` is quick.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.base.console import Console, emit_json, prepare_streams, run_guarded
from harness.base.errors import ConfigError

if TYPE_CHECKING:
    from harness.config.experiment import Experiment
    from harness.workflow.session import Session

app = typer.Typer(
    help="Does GAN-made training data improve a CT segmentation network?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ExperimentFile = Annotated[
    Path, typer.Argument(metavar="EXPERIMENT", help="experiment file (YAML)")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("-s", "--set", metavar="KEY=VALUE", help="override a setting; repeatable"),
]
Workdir = Annotated[Path, typer.Option(help="everything is written below this folder")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="warnings only")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="worker processes; default: the cores, or one on a GPU")
]
Engine = Annotated[
    str,
    typer.Option(help="processes, ray (a cluster), or inline (in this process, for debuggers)"),
]
Address = Annotated[
    str | None,
    typer.Option(help="of a Ray cluster: HOST:PORT or auto; left out, Ray starts here"),
]
DEFAULT_WORKDIR = Path("harness-work")


class _Options:
    """Options that every command shares."""

    def __init__(
        self,
        experiment: Path,
        overrides: list[str] | None,
        workdir: Path,
        json: bool,
        quiet: bool,
        workers: int | None = None,
        engine: str = "processes",
        address: str | None = None,
    ) -> None:
        self.file = experiment
        self.overrides = overrides or []
        self.workdir = workdir
        self.json = json
        self.console = Console(quiet=quiet)
        self.workers = workers
        self.engine = engine
        self.address = address

    def experiment(self) -> Experiment:
        """The loaded experiment."""
        from harness.config.load import load_experiment

        return load_experiment(self.file, self.overrides)

    def session(self) -> Session:
        """A session of the loaded experiment.

        Raises:
            ConfigError: the work folder cannot be made, no executor has that name, or another
                one than Ray is given an address.
        """
        if self.address is not None and self.engine != "ray":
            raise ConfigError(
                "--address is that of a Ray cluster and needs --engine ray, but got --engine "
                f"{self.engine}; add --engine ray, or leave --address out"
            )
        experiment = self.experiment()
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.workdir).close()
        except OSError as error:
            raise ConfigError(
                "--workdir must be a folder that can be made and written, but got "
                f"'{self.workdir}' ({error.strerror}); name another one"
            ) from error
        from harness.workflow.session import EXECUTORS, Session

        EXECUTORS.get(self.engine)
        return Session(
            experiment, self.workdir, self.console, self.workers, self.engine, self.address
        )

    def next(self, command: str, *options: str) -> str:
        """What to type next, with the options of this call."""
        parts = ["harness", command, str(self.file), *options]
        parts += [part for override in self.overrides for part in ("-s", override)]
        if self.workdir != DEFAULT_WORKDIR:
            parts += ["--workdir", str(self.workdir)]
        return shlex.join(parts)

    def pages(self) -> str:
        """The command that opens MLflow's pages; empty where nothing is tracked."""
        return self.next("ui") if self.experiment().tracking.enabled else ""

    def finish(self, found: dict[str, Any], where: str, then: str) -> None:
        """End a command: where its result is and what to type next."""
        if self.json:
            emit_json(found)
        self.console.say(f"\n{where}")
        if then:
            self.console.say(f"next: {then}")


@app.command()
def run(
    experiment: ExperimentFile,
    overrides: Overrides = None,
    workdir: Workdir = DEFAULT_WORKDIR,
    workers: Workers = None,
    engine: Engine = "processes",
    address: Address = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Prepare, sweep, compare and report, as the experiment declares."""
    options = _Options(experiment, overrides, workdir, json, quiet, workers, engine, address)
    session = options.session()
    from harness.workflow.commands import run_all

    with session.open():
        found = run_all(session)
    options.finish(found, f"report: {found['report']}", options.pages())


@app.command()
def prepare(
    experiment: ExperimentFile,
    overrides: Overrides = None,
    workdir: Workdir = DEFAULT_WORKDIR,
    workers: Workers = None,
    engine: Engine = "processes",
    address: Address = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read the patients, give them roles, cut pairs."""
    options = _Options(experiment, overrides, workdir, json, quiet, workers, engine, address)
    session = options.session()
    from harness.workflow.commands import prepare_data, swept_stages

    with session.open():
        found = prepare_data(session)
    swept = swept_stages(session.experiment)
    options.finish(found, f"store: {found['store']}", options.next("sweep" if swept else "compare"))


@app.command()
def sweep(
    experiment: ExperimentFile,
    stage: Annotated[str, typer.Option(help="mask, image, segmentation or all")] = "all",
    trials: Annotated[int | None, typer.Option(min=1, help="settings to try, per stage")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="trainings per trial")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="plan, cost, disk; trains nothing")
    ] = False,
    overrides: Overrides = None,
    workdir: Workdir = DEFAULT_WORKDIR,
    workers: Workers = None,
    engine: Engine = "processes",
    address: Address = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search the settings of both stages; freeze the best."""
    options = _Options(experiment, overrides, workdir, json, quiet, workers, engine, address)
    loaded = options.experiment()
    from harness.workflow.commands import dry_run_sweep, run_sweep, stages_of

    stages = stages_of(stage, loaded)
    if seeds is not None:
        options.overrides.append(f"sweep.seeds={seeds}")
    if trials is not None:
        studies = [name for name in stages if name != "segmentation"]  # which has no study
        options.overrides += [f"sweep.{name}.trials={trials}" for name in studies]
    with options.session().open(track=not dry_run) as session:
        found = dry_run_sweep(session, stages) if dry_run else run_sweep(session, stages)
    where = "nothing was trained" if dry_run else f"chosen settings: {found['chosen'] or 'none'}"
    then = "compare" if session.experiment.mask.learns == "mask" else "report"
    again = options.next("sweep", *(() if stage == "all" else ("--stage", stage)))
    options.finish(found, where, again if dry_run else options.next(then))


@app.command()
def compare(
    experiment: ExperimentFile,
    overrides: Overrides = None,
    workdir: Workdir = DEFAULT_WORKDIR,
    workers: Workers = None,
    engine: Engine = "processes",
    address: Address = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train every arm, open the test once, decide."""
    options = _Options(experiment, overrides, workdir, json, quiet, workers, engine, address)
    session = options.session()
    from harness.workflow.commands import run_compare

    with session.open():
        found = run_compare(session)
    options.finish(found, f"scores: {found['scores']}", options.next("report"))


@app.command()
def collapse(
    experiment: ExperimentFile,
    fail_on: Annotated[
        str | None, typer.Option(metavar="collapse", help="exit 4 if a seed collapsed")
    ] = None,
    overrides: Overrides = None,
    workdir: Workdir = DEFAULT_WORKDIR,
    workers: Workers = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge every seed of the sweeps against real patients."""
    if fail_on not in (None, "collapse"):
        raise ConfigError(f"--fail-on must be collapse, but got '{fail_on}'")
    options = _Options(experiment, overrides, workdir, json, quiet, workers)
    session = options.session()
    from harness.workflow.commands import run_collapse

    with session.open():
        found = run_collapse(session)
    if not json:
        sys.stdout.write(found["verdict"] + "\n")
    options.finish(found, f"evidence: {found['report']}", options.pages())
    if fail_on and found["collapsed"]:
        raise typer.Exit(4)


@app.command()
def calibrate(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="collapse, memorisation or comparison")
    ],
    experiment: ExperimentFile,
    images: Annotated[
        list[int] | None, typer.Option(min=20, help="synthetic images a set; repeatable")
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            min=1, help="deals of the patients, per number (200); simulated comparisons (20000)"
        ),
    ] = None,
    overrides: Overrides = None,
    workdir: Workdir = DEFAULT_WORKDIR,
    workers: Workers = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Plant failures in your own data, count what is detected.

    Counts false alarms as well. `comparison` simulates Dice tables: false positives and power.
    """
    if what not in ("collapse", "memorisation", "comparison"):
        raise ConfigError(
            "calibrate needs one of: collapse, memorisation, comparison; "
            f"but got '{what}'; name one of them"
        )
    if what == "comparison" and images:
        raise ConfigError(
            "--images must be left out of calibrate comparison, which simulates Dice and draws no "
            f"image, but got {', '.join(map(str, images))}; leave it out"
        )
    options = _Options(experiment, overrides, workdir, json, quiet, workers)
    session = options.session()
    from harness.workflow.commands import run_calibrate, run_calibrate_comparison

    if what == "comparison":  # only reads, so it works beside a running command
        found = run_calibrate_comparison(session, repeats)
        then = options.next("compare" if found["design"]["origin"] == "assumed" else "report")
    else:
        with session.open():
            found = run_calibrate(session, what, images or [100, 200, 300], repeats or 200)
        then = options.pages()
    if not json:
        sys.stdout.write(found["verdict"] + "\n")
    options.finish(found, f"rates: {found['table']}", then)


@app.command()
def report(
    experiment: ExperimentFile,
    overrides: Overrides = None,
    publish: Annotated[
        str | None,
        typer.Option(
            metavar="<path>", help="copy it to FOLDER/NAME too, listed in FOLDER/README.md"
        ),
    ] = None,
    workdir: Workdir = DEFAULT_WORKDIR,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the page and tables from what is finished."""
    options = _Options(experiment, overrides, workdir, json, quiet)
    session = options.session()
    from harness.workflow.commands import write_page

    if publish is not None and not publish.strip():
        raise ConfigError("--publish must name a folder, but got ''; name one, or leave it out")
    found = write_page(session, Path(publish) if publish else None)
    then = options.pages() if found["finished"] else options.next("run")
    where = f"report: {found['report']}"
    if found["published"]:
        where += f"\npublished: {found['published']}"
    options.finish(found, where, then)


@app.command()
def ui(
    experiment: ExperimentFile,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 5000,
    overrides: Overrides = None,
    workdir: Workdir = DEFAULT_WORKDIR,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Open the runs in MLflow: start its server, print the links."""
    from harness.tracking.ui import ui as start

    options = _Options(experiment, overrides, workdir, json, quiet)
    loaded = options.experiment()
    start(
        workdir,
        loaded.tracking.uri,
        loaded.name,
        port,
        options.console.say,
        emit_json if json else lambda links: None,
    )


@app.command()
def config(experiment: ExperimentFile, overrides: Overrides = None, json: Json = False) -> None:
    """Print the experiment resolved, each setting documented."""
    from harness.config.load import load_experiment
    from harness.config.render import render

    loaded = load_experiment(experiment, overrides or [])
    if json:
        emit_json(loaded.model_dump(mode="json"))
    else:
        sys.stdout.write(render(loaded))


@app.command()
def init(
    root: Annotated[Path, typer.Argument(metavar="FOLDER", help="your DICOM folder")],
    output: Annotated[Path, typer.Option("-o", "--output", help="file to write")] = Path(
        "experiment.yaml"
    ),
    name: Annotated[str, typer.Option(help="name of the experiment")] = "my-experiment",
    json: Json = False,
) -> None:
    """Write a starter experiment for your own DICOM folder."""
    from harness.workflow.commands import write_starter

    write_starter(root, output, name)
    if json:
        emit_json({"experiment": str(output)})
    Console().say(f"wrote {output}\nnext: {shlex.join(['harness', 'prepare', str(output)])}")


@app.command()
def score(
    real: Annotated[
        Path, typer.Argument(metavar="REAL", help="folder of PNG, NPY or NIfTI files, or a store")
    ],
    synthetic: Annotated[Path, typer.Argument(metavar="SYNTHETIC", help="likewise")],
    patients: Annotated[
        str | None,
        typer.Option(
            metavar="CSV|REGEX",
            help="whose image it is: a table image,patient, or the group of an expression",
        ),
    ] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="values of NPY and NIfTI files that become 0 and 1"),
    ] = None,
    heldout: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="real images the generator never saw: judges memorisation"
        ),
    ] = None,
    extractor: Annotated[
        list[str] | None,
        typer.Option(
            help="auto (default), inception-v3, efficientnet-lite0, torchscript; repeatable"
        ),
    ] = None,
    torchscript: Annotated[
        Path | None, typer.Option(metavar="FILE", help="your extractor; its code is run")
    ] = None,
    inception_weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="weights of inception-v3")
    ] = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="also SSIM, PSNR, MAE of files of one name")
    ] = False,
    output: Annotated[Path, typer.Option("-o", "--output", help="folder of the results")] = Path(
        "harness-score"
    ),
    most: Annotated[int, typer.Option(min=2, help="images a side; more are drawn from")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="draws subsets and splits")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score two sets of images, real and synthetic, of any source."""
    from harness.metrics.features import ExtractorFiles
    from harness.workflow.score import score_sets
    from harness.workflow.score_input import Request
    from harness.workflow.score_words import lines, show

    request = Request(
        real,
        synthetic,
        heldout,
        window,
        patients,
        tuple(extractor or ()),
        ExtractorFiles(inception_weights, torchscript),
        paired,
        output,
        most,
        seed,
    )
    console = Console(quiet=quiet)
    found = score_sets(request, console, console.warn if json else show)
    if json:
        emit_json(found)
    else:
        show("\n".join(lines(found)))
    console.say(f"\nresults: {output / 'score.json'}")


@app.command()
def decide(
    scores: Annotated[
        Path, typer.Argument(metavar="SCORES", help="CSV: patient, replicate (or run), arm, value")
    ],
    baseline: Annotated[str | None, typer.Option(metavar="ARM", help="what is to beat")] = None,
    candidate: Annotated[str | None, typer.Option(metavar="ARM", help="what may beat it")] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            help="smallest difference that matters, in the unit of value; default: 0.01 for values "
            "in 0 to 1"
        ),
    ] = None,
    better: Annotated[
        str | None,
        typer.Option(
            metavar="higher|lower", help="which values are better; default: higher in 0 to 1"
        ),
    ] = None,
    secondary: Annotated[
        list[str] | None,
        typer.Option(metavar="BASELINE:CANDIDATE", help="Holm-adjusted; repeatable"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="figure, .png or .svg; default: beside the scores"),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Does one arm beat another? For any table of scores.

    Patients and replicates both count as random.
    """
    from harness.workflow.decide import decide_scores
    from harness.workflow.decide_input import Request
    from harness.workflow.decide_words import lines

    request = Request(scores, baseline, candidate, margin, tuple(secondary or ()), output, better)
    console = Console(quiet=quiet)
    found = decide_scores(request, console)
    if json:
        emit_json(found)
    else:
        sys.stdout.write("\n".join(lines(found)) + "\n")
        sys.stdout.flush()
    console.say(f"\nfigure: {found['figure']}")


def main() -> None:
    """Entry point of the `harness` command."""
    prepare_streams()
    sys.exit(run_guarded(lambda: app(standalone_mode=False), "--json" in sys.argv))
