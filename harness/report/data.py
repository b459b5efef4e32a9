"""What a report is made of. The workflow gathers it, the page only shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.compare.protocol import ComparisonPlan
from harness.compare.user_register import EarlierOpenings
from harness.config.experiment import Experiment
from harness.config.measures import Measure
from harness.inference.arm_summary import ArmCost
from harness.inference.budget import NOT_ASKED, Budget
from harness.inference.dose import Dose
from harness.inference.effect import Effect
from harness.inference.failures import ArmFailures
from harness.inference.learning_curve import Worth
from harness.inference.subgroups import Factor
from harness.inference.table import Table
from harness.jobs.folder import WorkFolder
from harness.sweep.observations import Observation
from harness.sweep.plan import SweepPlan
from harness.sweep.verdicts import Verdicts
from harness.work.slots import Exposure


@dataclass(frozen=True)
class PatientLine:
    """One patient on the page: pseudonym, role ("" if excluded), notes or the reason."""

    patient: str
    role: str
    structures: tuple[str, ...]
    notes: tuple[str, ...] = ()
    excluded: str = ""


@dataclass
class ReportData:
    """Attributes:
    work: the work folder, for journals, samples and results behind the plans.
    config: the resolved config as stored (no paths, no credentials).
    store: path of the store's folder (None before prepare), store_values: result values of the
        prepare job (counts, shares of the structure lost to crops).
    sweeps: finished or partial sweeps, mask stage first.
    verdicts: on collapse, a stage each; of the sweeps' scored seeds.
    chosen: chosen settings, or None when the experiment's own were used.
    origin: where each of the comparison's settings came from, by "mask", "image" and
        "segmentation", in words.
    candidates: of the segmenters' settings, by arm as `TuningPlan.to_dict` has them.
    superseded: a comparison is finished under other settings, and none under these.
    comparison, table, effects, doses, worth, budget, failures, subgroups, costs, exposures: None /
        empty before the comparison is finished.
    further: tables of the measures that are primary beside the declared one.
    earlier: openings of the test patients in other work folders; None before the comparison is
        finished.
    audits, audit_folders: values and job folder of each replicate's finished audit, by seed.
    provenance: lines of (what, value): code version, digests, library versions, machine, cost.
    ledger: cost per kind of job: {kind: {"jobs": n, "seconds": s}}.
    mlflow: how to open the MLflow pages, in words.
    """

    experiment: Experiment
    work: WorkFolder
    config: Mapping[str, Any]
    patients: Sequence[PatientLine]
    store: Path | None
    store_values: Mapping[str, Any]
    sweeps: Sequence[SweepPlan] = ()
    verdicts: Sequence[Verdicts] = ()
    chosen: Mapping[str, Any] | None = None
    origin: Mapping[str, str] = field(default_factory=dict)
    candidates: Mapping[str, Any] = field(default_factory=dict)
    observations: Sequence[Observation] = ()
    superseded: bool = False
    comparison: ComparisonPlan | None = None
    table: Table | None = None
    effects: Sequence[Effect] = ()
    doses: Sequence[Dose] = ()
    worth: Sequence[Worth] = ()
    budget: Budget = NOT_ASKED
    failures: Sequence[ArmFailures] = ()
    subgroups: Sequence[Factor] = ()
    further: Mapping[str, Table] = field(default_factory=dict)
    costs: Sequence[ArmCost] = ()
    exposures: Mapping[str, Exposure] = field(default_factory=dict)
    earlier: EarlierOpenings | None = None
    audits: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    audit_folders: Mapping[int, Path] = field(default_factory=dict)
    provenance: Sequence[tuple[str, str]] = ()
    ledger: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    mlflow: str = ""

    @property
    def measured(self) -> Measure:
        """What the table's cells are, by which everything is decided."""
        return self.experiment.decision.measured

    def table_of(self, effect: Effect) -> Table | None:
        """The table that an effect is of."""
        return self.further.get(effect.measured.name, self.table)

    @property
    def extended(self) -> bool:
        """Whether the test evaluation was extended after its opening: then nothing is a verdict."""
        return self.comparison is not None and self.comparison.extended
