"""One command's session: an experiment in a work folder, with its lease, executor and tracker."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.base.console import Console
from harness.base.errors import DataError, UserError
from harness.base.files import digest_of, write_text
from harness.base.registry import call_place
from harness.commands.compute import (
    default_workers,
    resolve_auditors,
    resolve_compute,
    resolve_extractor,
)
from harness.commands.typed import keep
from harness.commands.work_folder import close_private_part, make_work_folder
from harness.config.data import OF_A_FOLDER, DataConfig
from harness.config.experiment import Experiment, to_dict
from harness.config.render import render, sanitised
from harness.data.dicom.other_names import OtherNames
from harness.jobs.driver import Driver, Planner
from harness.jobs.executors.base import EXECUTORS, Executor
from harness.jobs.folder import WorkFolder
from harness.jobs.forecast import Forecast
from harness.jobs.graph import JobGraph
from harness.jobs.lease import holder, lease, named
from harness.jobs.planned import Planned
from harness.jobs.spec import Spec
from harness.tracking.run_view import RunView
from harness.work.prepare.patient_index import (
    INDEX_VERSION,
    PatientIndex,
    index_patients,
    recorded_index,
)
from harness.work.prepare.sources import make_source, other_names
from harness.work.specs import Specs

if TYPE_CHECKING:
    from harness.tracking.sync_thread import SyncThread


TRAIN = ("run", "sweep", "compare")
"""Commands that train."""

LOADED = ("torch._dynamo",)
"""What every training's worker loads first: torch, and what its optimisers import."""

RESOLVED = ("dicom", "images")
"""Sources whose pseudonyms and file numbers a private list resolves."""


@dataclass
class Session:
    """Everything a command needs.

    Commands that only read (report, collapse) use it as it is, beside a running driver or in a
    folder that they cannot write; those that run jobs do so inside `open`.

    Attributes:
        root: the work folder.
        workers: worker processes; None takes the device's default, or what the cluster holds.
        engine: executor by name.
        address: of the Ray cluster that computes; None: this machine.
        reads_patients: False leaves the source alone and takes what an earlier command read; such
            a session writes nothing into the work folder.
        typed: the command line without `harness`, for whoever goes on with it.
        ahead: makes `forecast`, of the whole command: how many jobs and how long; asked when a
            job is to run.
        views: runs to show in MLflow, by part of the program; the tracker's thread reads them.
    """

    experiment: Experiment
    root: Path
    console: Console
    workers: int | None = None
    engine: str = "processes"
    address: str | None = None
    reads_patients: bool = True
    typed: tuple[str, ...] = ()
    views: dict[str, list[RunView]] = field(default_factory=dict)
    ahead: Callable[[], Forecast] | None = None
    forecast: Forecast | None = None
    _executor: Executor | None = None
    _planned: Planned | None = None
    _tracker: SyncThread | None = None

    @cached_property
    def work(self) -> WorkFolder:
        return WorkFolder(self.root)

    @property
    def home(self) -> Path:
        """What belongs to this experiment alone: its choice, scores and report."""
        return self.root / "experiments" / self.experiment.name

    @cached_property
    def compute(self) -> dict[str, Any]:
        return resolve_compute(
            self.experiment, self.root, self.address, self._ask, freeze=self.reads_patients
        )

    def _ask(self, place: str, *given: Any) -> Any:
        """Call a function where jobs compute, as far as workers were started."""
        ask = call_place if self._executor is None else self._executor.ask
        return ask(place, *given)

    @cached_property
    def specs(self) -> Specs:
        return Specs(
            self.experiment,
            self.compute,
            resolve_extractor(self.experiment, self.experiment.metrics.extractor),
            resolve_auditors(self.experiment),
        )

    @property
    def readers(self) -> int:
        """Processes that read patients side by side, on this machine."""
        if self.engine == "inline":
            return 1
        return self.workers or (os.cpu_count() or 1)

    @property
    def _record(self) -> Path:
        """Which patients were read last; wherever they lie, under these settings of `data`."""
        data = sanitised(self.experiment)["data"]
        data["patterns"] = to_dict(self.experiment.data)["patterns"]
        asked = digest_of([INDEX_VERSION, data])
        return self.home / f"patients-{asked}.json"

    @property
    def patients_known(self) -> bool:
        """Whether a command has read the patients."""
        return recorded_index(self._record, self.root) is not None

    @cached_property
    def names(self) -> OtherNames:
        """Which names of ROIs the numbers of this work folder stand for."""
        return other_names(self.experiment.data, self.root)

    @cached_property
    def patient_index(self) -> PatientIndex:
        """All patients of the source, each read once while unchanged; with all names of ROIs where
        the experiment shows them.

        Raises:
            DataError: they were not read, and this session reads none; or their folder is away.
        """
        found = self._read_patients()
        return found.revealed(self.names.reveal) if self.experiment.privacy.roi_names else found

    def _read_patients(self) -> PatientIndex:
        config = self.experiment.data
        if not self.reads_patients:
            known = recorded_index(self._record, self.root)
            if known is None:
                owner = holder(self.root / "driver.lease.json")
                then = (
                    "harness prepare reads them, and --workdir names another folder"
                    if owner is None
                    else f"{named(owner)} is at work there and may be "
                    "reading them; harness status says how far it is"
                )
                raise DataError(
                    f"the patients of '{self.experiment.name}' must have been read under these "
                    f"settings of data, but '{self.root.absolute()}' knows of none; {then}"
                )
            return known
        _check_root(config)
        before = recorded_index(self._record, self.root)
        with self.console.progress() as progress:
            progress.start("patients", "read patients")
            source = make_source(config, self.root)
            patient_index = index_patients(
                source,
                config,
                self.root,
                lambda n, of: progress.update("patients", n, f"of {of}"),
                self.readers,
                self._record,
            )
            progress.finish(
                "patients",
                f"{len(patient_index.usable)} usable, {len(patient_index.excluded)} excluded",
            )
        if before != patient_index or self.typed[:1] == ("prepare",):
            self._say_excluded(patient_index)  # before anything else can fail
        return patient_index

    def _say_excluded(self, patient_index: PatientIndex) -> None:
        patients: dict[str, list[str]] = {}
        for entry in patient_index.excluded:
            patients.setdefault(entry.reason, []).append(entry.patient)
        for reason, names in patients.items():
            self.console.warn(f"{', '.join(names)} excluded: {self.names.reveal(reason)}")
        source = self.experiment.data.source
        if patients and source in RESOLVED:
            self.console.say(
                f"(pseudonyms and file numbers: {self.root}/private/{source}/files.json)"
            )

    @cached_property
    def roles(self) -> dict[str, str]:
        """Role of every used patient, by content digest."""
        from harness.data.roles import assign_roles

        config, usable = self.experiment.data, self.patient_index.usable
        if not usable:
            excluded = self.patient_index.excluded
            reasons = "; ".join(f"{e.patient}: {e.reason}" for e in excluded[:5])
            reasons += f"; and {len(excluded) - 5} more" if len(excluded) > 5 else ""
            reasons = self.names.reveal(reasons)
            raise DataError(f"an experiment needs usable patients, but got none ({reasons})")
        having = {p.digest: p.role for p in self.patient_index.with_structures}
        dealt = assign_roles(having, config.roles, config.limit)
        bare = {p.digest: "train" for p in usable if p.digest not in having}
        return dict(sorted((dealt | bare).items()))

    @cached_property
    def store(self) -> Spec:
        return self.specs.prepare(self.roles)

    def runtime(self) -> dict[str, Any]:
        """What jobs need to find source data and weights; never stored."""
        return {
            "data": to_dict(self.experiment.data),
            "root": str(self.root),
            "patient_index": {p.digest: p.file for p in self.patient_index.usable},
            "readers": self.readers,
            "inception_weights": self.experiment.metrics.inception_weights,
            "torchscript": self.experiment.metrics.torchscript,
        }

    def graph(self) -> JobGraph:
        """A graph for one planning pass."""
        return JobGraph(self.work, self.runtime(), self.experiment.tracking.sample_grids)

    def drive(self, planner: Planner) -> Any:
        """Run a planner to its end; what it asks for is noted."""

        def noted(graph: JobGraph) -> Any:
            plan = planner(graph)
            if self.forecast is None and self.ahead is not None and graph.pending():
                self.forecast = self.ahead()
            if self._planned is not None:
                known = self.forecast.foreseen() if self.forecast is not None else None
                self._planned.add(graph.wanted(), known)
            return plan

        executor = self._start_executor()
        driver = Driver(
            self.work,
            executor,
            self.console,
            self.graph,
            lambda: self.forecast,
            self._tracker.start if self._tracker is not None else lambda: None,
        )
        return driver.drive(noted)

    def _start_executor(self) -> Executor:
        if self._executor is None:
            threads = int(self.compute["threads"])
            make: Any = EXECUTORS.get(self.engine)
            if self.address is not None:  # whose nodes say how many workers, where nobody else does
                self._executor = make(self.root, self.workers, threads, self.address)
            else:
                workers = self.workers or default_workers(self.compute)
                self._executor = make(self.root, workers, threads)
        return self._executor

    @contextlib.contextmanager
    def open(self, track: bool = True) -> Iterator[Session]:
        """Hold the work folder: one driver at a time; workers and tracker end with the block.

        Args:
            track: show the command in MLflow, and to those who look on.
        """
        make_work_folder(self.root, self.experiment)
        self.work.begin()
        with lease(self.root / "driver.lease.json", f"the work folder '{self.root.name}'"):
            if self.reads_patients:
                close_private_part(self.root, self.experiment, self.console)
            public = type(self.experiment).model_validate(sanitised(self.experiment))
            write_text(self.home / "experiment.yaml", render(public))
            before = Planned.read(self.home) if track else None
            if track:
                keep(self.root, self.experiment.name, self.typed)
                self._planned = Planned(self.home, self.typed[0] if self.typed else "")
                self._planned.write()
            try:
                if self.engine == "ray":  # patients take long: what is wrong with it is said before
                    self._start_executor()
                elif track and before is not None and self._computes(before):
                    self._start_executor().warm(LOADED)
                self._tracker = self._track() if track else None
                yield self
                if self._planned is not None:
                    self._planned.end()
            except UserError:  # refused: what the command before did is still what is to be known
                if self._planned is not None and not self._planned.jobs and before is not None:
                    before.write()
                elif self._planned is not None:
                    self._planned.refuse()
                raise
            finally:
                if self._executor is not None:
                    self._executor.close()
                    self._executor = None
                if self._tracker is not None:
                    self._end_tracking(self._tracker)
                    self._tracker = None

    def _computes(self, before: Planned) -> bool:
        """Whether the command will train something, as far as that is seen at once."""
        command = self.typed[0] if self.typed else ""
        done = before.command == command and before.ended is not None
        return command in TRAIN and not done

    def _track(self) -> SyncThread | None:
        if not self.experiment.tracking.enabled:
            return None
        from harness.tracking.sync import MlflowSync
        from harness.tracking.sync_thread import SyncThread

        mlflow_sync = MlflowSync(self.root, self.experiment.name, self.experiment.tracking.uri)
        return SyncThread(
            mlflow_sync,
            lambda: [view for part in list(self.views.values()) for view in part],
            warn=self.console.warn,
        )

    def _end_tracking(self, tracker: SyncThread) -> None:
        counts = tracker.stop()
        if counts.pending:
            self.console.warn(
                f"{counts.pending} values are not in MLflow yet; the folders have them, and the "
                "next command sends them"
            )


def _check_root(config: DataConfig) -> None:
    """Say where the patients' folder was looked for; what jobs store says no paths."""
    if config.source in OF_A_FOLDER and config.folder is not None and not config.folder.is_dir():
        raise DataError(
            f"data.root must be the folder of the patients, but '{config.folder.absolute()}' is "
            f"{'a file' if config.folder.is_file() else 'not there'}; correct data.root, which is "
            "seen from the folder of the experiment file, or give -s data.root=FOLDER"
        )
