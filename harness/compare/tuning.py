"""Each side of a comparison chooses its own settings: equally many, by successive halving.

Candidates of an arm are the experiment's own settings and others drawn from
`sweep.segmentation.space`. All train for a fraction of the updates, the better half for twice as
many, until the last ones train as long as the comparison will (Karnin, Koren and Somekh 2013,
*Almost optimal exploration in multi-armed bandits*). They are judged by what decides the
comparison, `decision.measure` of whole volumes, on validation patients and on the sweep's seeds,
which no replicate uses. Arms that nobody compares directly take the settings of the one that they
control.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.base.errors import DataError
from harness.base.rng import generator
from harness.base.text import settings_text
from harness.compare.budget import scored
from harness.compare.replicate import Replicate, ReplicatePlanner
from harness.config.arms import arm_of
from harness.config.axes import apply
from harness.config.experiment import Experiment
from harness.config.measures import DICE, Measure
from harness.config.stages import SegmentationConfig
from harness.inference.crossed_t import crossed_weighted_t
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Spec
from harness.work.specs import bearing_settings, segmenter_settings

RUNGS = (0.25, 0.5, 1.0)
"""Fractions of the declared updates; half of the candidates pass from each to the next."""


@dataclass(frozen=True)
class Rung:
    """A candidate at one length of training.

    Attributes:
        values: on validation (patients, seeds); None until every seed is known.
    """

    updates: int
    replicates: tuple[Replicate, ...]
    values: tuple[tuple[float, ...], ...] | None

    @property
    def mean(self) -> float | None:
        return None if self.values is None else float(np.mean(self.values))

    @property
    def seeds(self) -> list[float]:
        """Mean of each seed over patients; [] until all are known."""
        return [] if self.values is None else np.mean(self.values, axis=0).tolist()


@dataclass(frozen=True)
class Candidate:
    """Settings that an arm may take.

    Attributes:
        params: what differs from the experiment's, by path inside `segmentation`; {} for its own.
        rungs: that it reached, ascending.
    """

    number: int
    params: Mapping[str, Any]
    rungs: tuple[Rung, ...] = ()

    @property
    def words(self) -> str:
        return settings_text(self.params) if self.params else "the experiment's own"


@dataclass(frozen=True)
class ArmTuning:
    """What an arm chose, as far as it is known.

    Attributes:
        chosen: None until the last rung is known.
        lead: how much better on validation patients the chosen candidate is than the next one, with
            the standard error; None with one candidate at the end.
    """

    arm: str
    candidates: tuple[Candidate, ...]
    chosen: Candidate | None = None
    lead: tuple[float, float] | None = None

    def to_dict(self, measure: str) -> dict[str, Any]:
        return {
            "chosen": None if self.chosen is None else dict(self.chosen.params),
            "lead": self.lead,
            "candidates": [
                {
                    "settings": dict(candidate.params),
                    "rungs": [
                        {
                            "updates": rung.updates,
                            f"validation_{measure}": rung.mean,
                            "seeds": rung.seeds,
                        }
                        for rung in candidate.rungs
                    ],
                }
                for candidate in self.candidates
            ],
        }


@dataclass(frozen=True)
class TuningPlan:
    """The choice as planned so far, by arm, and the measure that it is made by."""

    arms: Mapping[str, ArmTuning]
    measured: Measure = DICE

    @property
    def finished(self) -> bool:
        return all(arm.chosen is not None for arm in self.arms.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain data by arm."""
        return {name: arm.to_dict(self.measured.name) for name, arm in self.arms.items()}


def lead_words(lead: tuple[float, float]) -> str:
    """How clear a choice was."""
    ahead, error = lead
    hair = ": chosen by a hair" if not ahead >= error else ""
    return f"{ahead:.4f} ahead of the next one, standard error {error:.4f}{hair}"


def tuned_arms(experiment: Experiment) -> list[str]:
    """The arms that choose for themselves: both of each question that is answered."""
    asked = experiment.decision.comparisons(experiment.arms)
    pairs = [each.pair for number, each in enumerate(asked) if number == 0 or each.question]
    return list(dict.fromkeys(arm for pair in pairs for arm in pair))


def settings_source(arm: str, tuned: Sequence[str]) -> str:
    """Whose settings an arm trains under: its own, else those of the arm that it controls.

    Args:
        tuned: of `tuned_arms`: baseline and candidate of the primary question first.
    """
    if arm in tuned:
        return arm
    of = arm_of(arm)
    alike = [name for name in tuned if arm_of(name).order == of.order]
    baseline, candidate = tuned[:2]
    if of.order in ("mixed", "longer") and of.filling == arm_of(baseline).filling:
        return baseline
    others = [name for name in alike if arm_of(name).pairs.generated]
    return others[0] if others else candidate


def candidates_of_arm(experiment: Experiment, arm: str) -> list[dict[str, Any]]:
    """Settings for an arm to choose among, as many as `sweep.segmentation.candidates`, its own
    first; fewer where the space has fewer that differ in this arm."""
    asked = experiment.sweep.segmentation
    assert asked is not None
    own = experiment.segmentation
    axes = [path for path in asked.space if _varies(path, arm, own)]
    values = [asked.space[path].values or () for path in axes]
    sizes = [len(listed) for listed in values]
    order = generator(experiment.sweep.seed, "segmenter settings").permutation(math.prod(sizes))
    found = {_key(own, {}, arm): dict[str, Any]()}
    for place in order if axes else ():
        at = np.unravel_index(int(place), sizes)
        params = {path: listed[n] for path, listed, n in zip(axes, values, at, strict=True)}
        found.setdefault(_key(own, params, arm), params)
        if len(found) == asked.candidates:
            break
    return list(found.values())


def _key(own: SegmentationConfig, params: Mapping[str, Any], arm: str) -> str:
    """The same for settings that are one in an arm."""
    return repr(segmenter_settings(apply(own, params), arm))


def _varies(path: str, arm: str, own: SegmentationConfig) -> bool:
    """Whether an arm may choose a setting: one that bears on it, and that leaves the question."""
    of = arm_of(arm)
    if path == "synthetic_fraction":
        return of.order == "mixed" and of.pairs.generated
    if path == "structure_share" and (of.order == "added" or of.pairs.empty):
        return False  # both arms of "add" see the same real pairs
    return path.split(".")[0] in bearing_settings(own, arm)


def untunable(experiment: Experiment) -> str:
    """Why the arms have nothing to choose among; empty where they have."""
    for arm in tuned_arms(experiment):
        if len(candidates_of_arm(experiment, arm)) < 2:
            return f"sweep.segmentation.space has no setting of the arm '{arm}' with another value"
    return ""


@dataclass(frozen=True)
class Tuning:
    """Planner of the choice; `replicates` have the settings that both stages' sweeps chose."""

    replicates: ReplicatePlanner

    def plan(self, graph: JobGraph, ahead: bool = False) -> TuningPlan:
        """Ask for what every arm's halving needs next.

        Args:
            ahead: ask for later rungs too where the earlier ones are not known; of a graph that
                runs nothing.
        """
        experiment = self.replicates.specs.experiment
        arms = tuned_arms(experiment)
        settings = {arm: candidates_of_arm(experiment, arm) for arm in arms}
        least = min(map(len, settings.values()))
        found = {a: self._arm(graph, a, settings[a][:least], ahead) for a in arms}
        return TuningPlan(found, self._measured)

    @property
    def _measured(self) -> Measure:
        measured: Measure = self.replicates.specs.experiment.decision.measured
        return measured

    def _arm(
        self, graph: JobGraph, arm: str, settings: Sequence[Mapping[str, Any]], ahead: bool
    ) -> ArmTuning:
        candidates = {n: Candidate(n, params) for n, params in enumerate(settings)}
        alive = list(candidates)
        for factor in RUNGS:
            for number in alive:
                rung = self._rung(graph, arm, candidates[number], factor)
                there = candidates[number]
                candidates[number] = replace(there, rungs=(*there.rungs, rung))
            known = all(candidates[number].rungs[-1].values is not None for number in alive)
            if not known and not ahead:
                return ArmTuning(arm, tuple(candidates.values()))
            if known:
                worse = self._measured.loss
                alive.sort(key=lambda n: (worse(candidates[n].rungs[-1].mean or 0.0), n))
            if factor != RUNGS[-1]:
                alive = alive[: math.ceil(len(alive) / 2)]
        if not known:
            return ArmTuning(arm, tuple(candidates.values()))
        best = [candidates[number] for number in alive]
        return ArmTuning(arm, tuple(candidates.values()), best[0], _lead(best, self._measured))

    def _rung(self, graph: JobGraph, arm: str, candidate: Candidate, factor: float) -> Rung:
        planner = self._under(arm, candidate.params).with_updates(factor)
        named = f"setting {candidate.number + 1} of {arm}, {factor:g} x the updates"
        seeds = range(planner.specs.experiment.sweep.seeds)
        planned = [planner.plan(graph, s, (arm,), f"{named}, sweep seed {s}") for s in seeds]
        specs = scored(planner, graph, planned, named)
        columns = [_values(graph, spec, self._measured) for spec in specs.values()]
        known = [column for column in columns if column is not None]
        values = tuple(zip(*known, strict=True)) if len(known) == len(columns) else None
        return Rung(planner.settings_of(arm).updates, tuple(planned), values)

    def _under(self, arm: str, params: Mapping[str, Any]) -> ReplicatePlanner:
        own: SegmentationConfig = self.replicates.specs.experiment.segmentation
        return replace(self.replicates, of_arm={arm: apply(own, params)})


def _values(graph: JobGraph, spec: Spec, measured: Measure) -> list[float] | None:
    """The measure by validation patient, in the order of their digests."""
    result = graph.folder(spec).result()
    if result is None:
        return None
    values = sorted(result["values"]["measures"][measured.name].items())
    defined = [float(value) for _, value in values if value is not None]
    if not defined or len(defined) < len(values):
        raise DataError(
            "the choice of the segmenters' settings needs validation patients with contours, but "
            f"{measured.title} of one is not defined; change data.roles, or set sweep.segmentation "
            "to null"
        )
    return defined


def _lead(ranked: Sequence[Candidate], measured: Measure) -> tuple[float, float] | None:
    """How far the first is ahead of the second, and the standard error of that."""
    tables: Iterable[Any] = [np.array(entry.rungs[-1].values) for entry in ranked[:2]]
    first, *second = tables
    if not second:
        return None
    ahead = second[0] - first if measured.lower_is_better else first - second[0]
    error = crossed_weighted_t(ahead).standard_error
    if error is None:  # too few patients or seeds for the crossed one
        error = float(ahead.std(ddof=1) / math.sqrt(ahead.size)) if ahead.size > 1 else math.nan
    return float(ahead.mean()), error
