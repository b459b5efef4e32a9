"""What commands share: the application, their options, the session they open, how they end."""

from __future__ import annotations

import functools
import inspect
import shlex
import sys
import tempfile
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from harness.base.console import Console, emit_json
from harness.base.errors import ConfigError
from harness.cli.groups import Groups
from harness.commands.output_folder import unwritable

if TYPE_CHECKING:
    from harness.commands.session import Session
    from harness.config.experiment import Experiment

app = typer.Typer(
    help="Does GAN-made training data improve a CT segmentation network?",
    cls=Groups,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(asked: bool) -> None:
    if not asked:
        return
    from harness.base.version import foreign_harness, version_line

    sys.stdout.write(version_line() + "\n")
    foreign = foreign_harness()
    if foreign:
        Console().warn(foreign)
    raise typer.Exit


@app.callback()
def _every_command(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="which one this is"),
    ] = False,
) -> None:
    """Does GAN-made training data improve a CT segmentation network?"""


ExperimentFile = Annotated[
    Path, typer.Argument(metavar="EXPERIMENT", help="experiment file (YAML)")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("-s", "--set", metavar="KEY=VALUE", help="override a setting; repeatable"),
]
Workdir = Annotated[Path, typer.Option(help="what the command makes is written below this folder")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="warnings only")]
DEFAULT_WORKDIR = Path("harness-work")
OF_JOBS = ("workers", "engine", "address")


@dataclass
class Options:
    """What every command of an experiment takes, as typed; `OF_JOBS` where it runs jobs."""

    file: ExperimentFile
    overrides: Overrides = None
    workdir: Workdir = DEFAULT_WORKDIR
    workers: Annotated[
        int | None, typer.Option(min=1, help="worker processes; default: the cores, or one a GPU")
    ] = None
    engine: Annotated[
        str,
        typer.Option(help="processes, ray (a cluster), or inline (in this process, for debuggers)"),
    ] = "processes"
    address: Annotated[
        str | None,
        typer.Option(help="of a Ray cluster: HOST:PORT or auto; left out, Ray starts here"),
    ] = None
    json: Json = False
    quiet: Quiet = False

    @functools.cached_property
    def console(self) -> Console:
        return Console(quiet=self.quiet)

    def override(self, *settings: str) -> None:
        """Add to what `--set` overrides."""
        self.overrides = [*(self.overrides or ()), *settings]

    def experiment(self) -> Experiment:
        """The loaded experiment."""
        from harness.config.load import load_experiment

        return load_experiment(self.file, self.overrides or ())

    def check_workdir(self) -> None:
        """Refuse a work folder of another format."""
        from harness.jobs.folder import WorkFolder

        WorkFolder(self.workdir).check_format()

    def session(self, reads_patients: bool = True) -> Session:
        """A session of the loaded experiment.

        Args:
            reads_patients: as of `Session`; without, the work folder must be there, and nothing
                is written into it.

        Raises:
            DataError: there is no work folder to read from.
            ConfigError: the work folder cannot be made or is of another format, no executor has
                that name, or another one than Ray is given an address.
        """
        if self.address is not None and self.engine != "ray":
            raise ConfigError(
                "--address is that of a Ray cluster and needs --engine ray, but got --engine "
                f"{self.engine}; add --engine ray, or leave --address out"
            )
        experiment = self.experiment()
        if not reads_patients:
            from harness.jobs.folder import WorkFolder

            WorkFolder.existing(self.workdir)
        else:
            self._make_workdir(experiment)
        from harness.commands.session import EXECUTORS, Session

        EXECUTORS.get(self.engine)
        return Session(
            experiment,
            self.workdir,
            self.console,
            self.workers,
            self.engine,
            self.address,
            reads_patients,
            tuple(sys.argv[1:]),
        )

    def _make_workdir(self, experiment: Experiment) -> None:
        from harness.commands.work_folder import make_work_folder

        try:
            make_work_folder(self.workdir, experiment)
            tempfile.TemporaryFile(dir=self.workdir).close()
        except OSError as error:
            what = "a folder that can be made and written"
            raise unwritable("--workdir", what, self.workdir, error) from error
        self.check_workdir()

    def next(self, command: str, *options: str) -> str:
        """What to type next, with the options of this call."""
        parts = ["harness", command, str(self.file), *options]
        parts += [part for override in self.overrides or () for part in ("-s", override)]
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


def experiment_command(jobs: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command whose parameter `options` stands for what every such command takes.

    Args:
        jobs: it runs jobs, and takes their options too.
    """

    def register(command: Callable[..., None]) -> Callable[..., None]:
        types = get_type_hints(Options, include_extras=True)
        experiment, *shared = (
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=types[field.name],
            )
            for field in fields(Options)
            if jobs or field.name not in OF_JOBS
        )

        @functools.wraps(command)
        def call(**typed: Any) -> None:
            options = Options(
                **{taken.name: typed.pop(taken.name) for taken in (experiment, *shared)}
            )
            command(options=options, **typed)

        own = [
            experiment if of.name == "options" else of.replace(kind=of.KEYWORD_ONLY)
            for of in inspect.signature(command, eval_str=True).parameters.values()
        ]
        call.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        return app.command()(call)

    return register
