"""Plan a sweep: trials in waves, every trial over its seeds, scores on the way and at its end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.base.errors import ConfigError
from harness.base.files import canonical_json
from harness.config.axes import apply
from harness.config.stages import StageConfig
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Input, Phases, Spec
from harness.sweep.costs import count_costs
from harness.sweep.plan import SeedRun, SweepPlan, TrialRun
from harness.sweep.space import grid_cells, listed_epochs, longest, random_cells
from harness.sweep.study import Study, Trial
from harness.training.schedule import scored_epochs
from harness.work.specs import Specs

COST_EPOCHS = "cost/epochs"
"""A further objective: the epochs that a seed trains, the part of its cost that repeats exactly."""

LOST = ("convergence failure", "mode collapse")
"""Verdicts on a seed under which its setting is never chosen."""


TOO_LARGE = "out of memory"
"""In the place of a verdict, of a seed whose training does not fit its device."""


def is_lost(values: Mapping[str, Any]) -> bool:
    """Whether a score's values say that its training is lost."""
    return not values["converged"] or values["collapse"]["word"] in LOST


def _refused(graph: JobGraph, spec: Spec, epoch: int | None = None) -> str:
    """Why a job, or a checkpoint, that is not there does not fit its device; else empty."""
    folder = graph.folder(spec)
    return "" if folder.result(epoch) is not None else folder.too_large() or ""


def _stuck(graph: JobGraph, training: Phases, epoch: int) -> str:
    """Why a training will not come to `epoch`: a phase on the way does not fit; else empty."""
    phase = training.at(epoch)
    if phase == training.steady or graph.folder(phase).result(epoch) is not None:
        return _refused(graph, phase, epoch)
    return _refused(graph, phase, epoch) or _refused(graph, training.steady, training.steady_epochs)


@dataclass
class StageSweep:
    """Planner of one stage's study.

    Attributes:
        stage: "mask" or "image".
        began: monotonic seconds at which a budget of wall time begins.
    """

    stage: str
    specs: Specs
    store: Spec
    study: Study
    began: float = field(default_factory=time.monotonic)
    _kept: dict[int, tuple[TrialRun, JobGraph]] = field(default_factory=dict)
    """Told trials, and what they asked for, once all of that was there."""
    _read_out: set[int] = field(default_factory=set)
    """Told trials of which no shorter length is left to enter."""

    def plan(self, graph: JobGraph) -> SweepPlan:
        """Ask for what is missing; tell a wave when all of it is there; ask the next one."""
        while True:
            self._enter_checkpoints(graph)
            if self._may_ask(graph):
                self.study.ask_wave()
            runs = [self._trial(graph, t) for t in self.study.trials() if t.value is None]
            if not runs or not all(run.ended for trial in runs for run in trial.seeds):
                return self.look(graph)
            for trial in runs:
                self._tell(trial)

    def look(self, graph: JobGraph) -> SweepPlan:
        """The sweep as it stands; nothing is asked or told."""
        sweep, trials = self._sweep(), self.study.trials()
        asked = [trial for trial in trials if trial.checkpoint_of is None]
        told = [trial for trial in asked if trial.value is not None]
        return SweepPlan(
            self.stage,
            self.study.name,
            sweep.objective,
            sweep.towards,
            [self._trial(graph, trial) for trial in trials],
            self.study.best(),
            self.study.front() if sweep.further_objectives else [],
            complete=len(told) == len(asked) >= self.study.total(),
            finished=len(told) == len(asked) >= min(self.study.total(), self.study.ended_at()),
        )

    def preview(self, graph: JobGraph) -> SweepPlan:
        """The sweep as it will be asked: a grid as it is; of other samplers the trials that are
        asked, and others drawn at random in the place of those that depend on results."""
        seed, sweep = self.specs.experiment.sweep.seed, self._sweep()
        total, trials = self.study.total(), list[Trial]()
        if self.specs.experiment.sweep.sampler == "grid":
            cells = grid_cells(sweep.space, seed)[:total]
        else:
            trials = [t for t in self.study.trials() if t.checkpoint_of is None]
            cells = random_cells(sweep.space, seed, max(0, total - len(trials)))
        trials += [Trial(n, cell, None, 0) for n, cell in enumerate(cells, len(trials))]
        runs = [self._trial(graph, trial) for trial in trials]
        return SweepPlan(self.stage, self.study.name, sweep.objective, sweep.towards, runs)

    def _may_ask(self, graph: JobGraph) -> bool:
        """Whether the budget allows another wave; one that was begun is always completed."""
        budget, asked = self.specs.experiment.sweep.budget, self.study.asked()
        between = len(asked) % self.specs.experiment.sweep.trials_per_batch == 0
        if not between or not asked or any(trial.value is None for trial in asked):
            return True
        hours = (time.monotonic() - self.began) / 3600
        over = budget.hours is not None and hours >= budget.hours
        if budget.device_hours is not None:
            costs = count_costs(self.look(graph.part()), graph.work, sizes=False)
            over = over or costs.hours >= budget.device_hours
        self.study.end_at(len(asked) if over else None)
        return not over

    def settings_of(self, trial: Trial) -> StageConfig:
        """The stage's settings under a trial."""
        return apply(self._base(), trial.params)

    def _sweep(self) -> Any:
        settings = getattr(self.specs.experiment.sweep, self.stage)
        assert settings is not None
        return settings

    def _base(self) -> StageConfig:
        settings: StageConfig = getattr(self.specs.experiment, self.stage)
        return settings

    def _trial(self, graph: JobGraph, trial: Trial) -> TrialRun:
        """A trial as it stands. A told one is planned until all of it was seen to be there: a pass
        costs what is under way, however long the sweep is."""
        if trial.value is None:
            return self._planned(graph, trial)
        if trial.number in self._kept:
            run, part = self._kept[trial.number]
            graph.take(part, there=True)
            return run
        part = graph.part()
        run = self._planned(part, trial)
        if not part.pending():
            self._kept[trial.number] = run, part
        graph.take(part, there=trial.number in self._kept)
        return run

    def _planned(self, graph: JobGraph, trial: Trial) -> TrialRun:
        settings = self.settings_of(trial)
        epochs = settings.schedule.epochs
        seeds: list[SeedRun] = []
        for seed in range(trial.seeds or self.specs.experiment.sweep.seeds):
            if trial.value is None and seeds and self._waits_or_ends(trial, seeds):
                break
            seeds.append(self._seed(graph, trial, settings, epochs, seed))
        left_out = self.specs.experiment.sweep.seeds - len(seeds) if trial.pruned else 0
        return TrialRun(trial, settings, epochs, tuple(seeds), left_out)

    def _waits_or_ends(self, trial: Trial, seeds: Sequence[SeedRun]) -> bool:
        """Where seeds may be left out, each waits for the result of those before it."""
        if not self.specs.experiment.sweep.prune or trial.checkpoint_of is not None:
            return False
        if not all(seed.ended for seed in seeds):
            return True
        return self.study.should_prune(trial.number, self._values(seeds)[0])

    def _seed(
        self, graph: JobGraph, trial: Trial, settings: StageConfig, epochs: int, seed: int
    ) -> SeedRun:
        training = self._training(settings, seed)
        label = f"{self.stage} trial {trial.number} seed {seed}"
        scores: dict[int, Spec] = {}
        tests: dict[tuple[int, str], Spec] = {}
        result = stopped = None
        too_large = ""
        self._need_diversity(graph, settings)
        for epoch in self._scored(epochs):
            too_large = _stuck(graph, training, epoch)
            if too_large:
                break
            trained = graph.train(training, epoch, label)
            stopped = trained["values"].get("stopped_at") if trained else None
            checkpoint, at = training.at(epoch), stopped or epoch
            if stopped:
                graph.need(checkpoint, at, label)
            spec = self.specs.score(self.store, settings, checkpoint, at)
            too_large = _refused(graph, spec)
            if too_large:
                break
            scores[at] = spec
            score = graph.need(spec, label=f"score of {label}, epoch {at}")
            last = bool(stopped) or epoch == epochs
            result = score if last else None
            asked, too_large = self._tests(graph, checkpoint.done(at), last, seed, label)
            tests |= {(at, test): spec for test, spec in asked.items()}
            if stopped or too_large:
                break
        measured = (*scores.values(), *tests.values())
        scored = all(graph.folder(spec).result() for spec in measured)
        if too_large:
            return SeedRun(seed, training, scores, None, too_large=too_large if scored else "")
        self._keep_branches(graph, training, settings, label)
        return SeedRun(seed, training, scores, result if scored else None, stopped, "", tests)

    def _tests(
        self, graph: JobGraph, image: Input, last: bool, seed: int, label: str
    ) -> tuple[dict[str, Spec], str]:
        """Ask for the other ways of using a trained Stage II, before its last epoch for the usual
        one alone, and why one does not fit its device; a mask stage of the experiment's settings
        makes the masks that are to be made."""
        experiment = self.specs.experiment
        if self.stage != "image" or not experiment.legacy.tests:
            return {}, ""
        mask = None
        if experiment.legacy.makes_masks:
            training = self.specs.training(self.store, experiment.mask, seed)
            if too_large := _stuck(graph, training, training.epochs):
                return {}, too_large
            graph.train(training, training.epochs, f"mask stage for {label}")
            mask = training.last.done(training.epochs)
        tests: dict[str, Spec] = {}
        for test in experiment.legacy.tests[: None if last else 1]:
            spec = self.specs.image_test(self.store, image, mask, test, seed)
            if too_large := _refused(graph, spec):
                return tests, too_large
            graph.need(spec, label=f"test of {label}, {test.words}")
            tests[test.words] = spec
        return tests, ""

    def _need_diversity(self, graph: JobGraph, settings: StageConfig) -> None:
        diversity = self.specs.diversity(self.store, settings.shows)
        graph.need(diversity, label="diversity of real images")

    def _training(self, settings: StageConfig, seed: int) -> Phases:
        """A seed's training under the sweep's rule for ending early."""
        stop_on = self.specs.experiment.sweep.stop_on
        return self.specs.training(self.store, settings, seed, stop_on)

    def _keep_branches(
        self, graph: JobGraph, training: Phases, settings: StageConfig, label: str
    ) -> None:
        """Have the states kept from which decays of the space's other lengths can branch off."""
        if training.decay is None:
            return
        for epoch in map(settings.steady_epochs, listed_epochs(self._sweep())):
            if epoch <= training.steady_epochs:
                graph.need(training.steady, epoch, label, branch=True)

    def _scored(self, epochs: int) -> list[int]:
        """Epochs to score: one ladder for the whole study, so that trainings are shared."""
        sweep = self._sweep()
        about = self.specs.experiment.metrics.scored_epochs
        ladder = scored_epochs(longest(sweep, self._base().schedule.epochs), about)
        return sorted({e for e in (*ladder, *listed_epochs(sweep)) if e <= epochs} | {epochs})

    def _enter_checkpoints(self, graph: JobGraph) -> None:
        """Enter the listed lengths that told trials passed, where they cost no further epoch.

        A grid has its cells, and a decay of another length would have to be trained.
        """
        lengths = sorted(set(listed_epochs(self._sweep())))
        if self.specs.experiment.sweep.sampler == "grid" or len(lengths) < 2:
            return
        trials = self.study.trials()
        known = {canonical_json(trial.params) for trial in trials}
        for trial in trials:
            if trial.checkpoint_of is not None or trial.value is None or trial.pruned:
                continue
            if trial.number in self._read_out:
                continue
            complete = True
            for epochs in lengths:
                params = {**trial.params, "schedule.epochs": epochs}
                if epochs >= trial.params["schedule.epochs"] or canonical_json(params) in known:
                    continue
                shorter = Trial(trial.number, params, None, 0, trial.number)
                if self._training(self.settings_of(shorter), 0).decay is not None:
                    continue
                run = self._planned(JobGraph(graph.work), shorter)
                if all(seed.result for seed in run.seeds):
                    values, failed = self._values(run.seeds)
                    further = self._further(run.seeds)
                    self.study.enter_checkpoint(trial.number, params, values, failed, further)
                    known.add(canonical_json(params))
                else:
                    complete = False
            if complete:
                self._read_out.add(trial.number)

    def _tell(self, run: TrialRun) -> None:
        pruned = len(run.seeds) < self.specs.experiment.sweep.seeds
        values, failed = self._values(run.seeds)
        self.study.tell(run.trial.number, values, failed, pruned, self._further(run.seeds))

    def _further(self, seeds: Sequence[SeedRun]) -> list[list[float | None]]:
        """Values over the seeds of every further objective."""
        return [
            [self._value(name, seed) for seed in seeds] for name in self._sweep().further_objectives
        ]

    def _value(self, objective: str, seed: SeedRun) -> float | None:
        """An objective of a finished seed; None where it is no number."""
        if objective == COST_EPOCHS:
            return float(seed.stopped_at or seed.phases.epochs)
        if seed.too_large:
            return None
        assert seed.result is not None
        scores = seed.result["values"]
        if objective not in scores:
            raise ConfigError(
                f"sweep.{self.stage} needs {objective} of every trial, but the scores of this work "
                "folder are from before it was measured; begin anew in another --workdir"
            )
        value = scores[objective]
        return float(value) if value is not None and math.isfinite(value) else None

    def _values(self, seeds: Sequence[SeedRun]) -> tuple[list[float | None], int]:
        """The objective of every seed, None where it is no number, and how many seeds failed."""
        values = [self._value(self._sweep().objective, seed) for seed in seeds]
        failed = sum(
            value is None or is_lost((seed.result or {})["values"])
            for value, seed in zip(values, seeds, strict=True)
        )
        return values, failed
