"""Plan a comparison: one whole chain per replicate, then the opening, then the test.

The order is the protocol. Every segmenter of every arm and replicate is trained first; the opening
takes all of them as inputs; test scores take the opening as input. Nothing else reads a test
patient's labels.

Where the rule declares looks (`decision.looks`) each has an opening of its own, of the replicates
so far; it takes the one before as input, and the comparison ends where a look finds an effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from harness.base.errors import ConfigError, DataError
from harness.compare.budget import BudgetPlan, plan_budget
from harness.compare.cohorts import deal_cohorts, deal_smaller
from harness.compare.replicate import Replicate, ReplicatePlanner
from harness.config.arms import arm_of
from harness.config.experiment import Experiment, to_dict
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Input, Spec

_USUAL = {
    "question": "replace",
    "budget_seeds": 0,
    "measure": "dice",
    "subgroups": [],
    "co_primary": {},
    "success": "all",
    "looks": [],
    "looked_at": 0,
}


@dataclass(frozen=True)
class Level:
    """One dose at which arms are trained beside the declared one.

    Attributes:
        axis: "patients" (for training) or "synthetic_fraction".
        value: the dose.
        replicates: plans the level's.
        arms: both of the primary comparison first.
        cohorts: training patients of each replicate, where they are fewer.
    """

    axis: str
    value: float
    replicates: ReplicatePlanner
    arms: tuple[str, ...]
    cohorts: Sequence[Sequence[str]] = ()

    @property
    def name(self) -> str:
        words = "training patients" if self.axis == "patients" else "of the batch synthetic"
        return f"{self.value:g} {words}"


@dataclass
class LevelPlan:
    """A level as planned so far. `tests` maps (arm, seed) to test-score specs."""

    level: Level
    replicates: list[Replicate]
    tests: dict[tuple[str, int], Spec] = field(default_factory=dict)


@dataclass
class ComparisonPlan:
    """A comparison as planned so far.

    Attributes:
        opening: the last one; of several looks each has its own.
        looked_at: candidates that were looked at on these test patients before the first one.
        tests: maps (arm, seed) to test-score specs.
    """

    replicates: list[Replicate] = field(default_factory=list)
    levels: list[LevelPlan] = field(default_factory=list)
    budget: BudgetPlan = field(default_factory=BudgetPlan)
    opening: Spec | None = None
    looked_at: int = 0
    tests: dict[tuple[str, int], Spec] = field(default_factory=dict)
    extended: bool = False
    finished: bool = False


@dataclass
class Comparison:
    """Planner of one comparison.

    Attributes:
        replicates: plans them under the settings that the sweeps chose or the experiment has.
        roles: patient content digest -> role.
        subgroups: of test patients, as `declare_subgroups` gives them.
        looked_at: candidates that were looked at on the test patients before an opening.
        found: whether a look at a comparison, all of it scored, found an effect.
    """

    replicates: ReplicatePlanner
    roles: Mapping[str, str]
    subgroups: Mapping[str, Any] = field(default_factory=dict)
    looked_at: Callable[[Spec], int] = lambda opening: 0
    found: Callable[[ComparisonPlan], bool] = lambda plan: False

    @property
    def experiment(self) -> Experiment:
        return self.replicates.specs.experiment

    def plan(self, graph: JobGraph, ahead: bool = False) -> ComparisonPlan:
        """Ask for everything that can be asked for now.

        Args:
            ahead: ask for what comes after all training too; of a graph that runs nothing.
        """
        rule = self.rule()  # what makes the opening impossible is said before anything is trained
        plan, seeds = ComparisonPlan(), self.seeds()
        for count in self.experiment.decision.looks or (len(seeds),):
            self._look(graph, plan, seeds[:count], rule, ahead)
            plan.finished = plan.opening is not None and not graph.pending()
            goes_on = plan.finished and count < len(seeds) and not self.found(plan)
            if not ahead and not goes_on:
                break
        return plan

    def _look(
        self,
        graph: JobGraph,
        plan: ComparisonPlan,
        seeds: range,
        rule: Mapping[str, Any],
        ahead: bool,
    ) -> None:
        """Add the replicates that the plan lacks, open the test for all of them, score it."""
        arms = [name for name in self.experiment.arms if arm_of(name).order != "longer"]
        fresh = [
            self._replicate(graph, self.replicates, seed, arms)
            for seed in seeds[len(plan.replicates) :]
        ]
        fresh = self._with_longer(graph, fresh, plan.replicates or fresh, ahead)
        first, plan.replicates = not plan.replicates, plan.replicates + fresh
        if first:
            plan.levels = [self._level(graph, level) for level in self.levels()]
            plan.budget = plan_budget(self.replicates, graph)
        trained: dict[str, Input] = {}
        for replicate in plan.replicates:
            trained |= replicate.trained()
        for dose_plan in plan.levels:
            head = f"{dose_plan.level.axis}={dose_plan.level.value:g}"
            for replicate in dose_plan.replicates:
                segmenters = replicate.trained()
                trained |= {f"{head}/{name}": spec for name, spec in segmenters.items()}
        if graph.pending() and not ahead:
            return
        specs, store = self.replicates.specs, self.replicates.store
        if first and not ahead:
            plan.looked_at = self.looked_at(specs.opening(store, trained, rule))
        plan.opening = specs.opening(store, trained, rule, plan.looked_at, plan.opening)
        opened = graph.need(plan.opening, label="opening of the test")
        plan.tests |= self._tests(graph, plan, self.replicates, fresh, "")
        for dose_plan in plan.levels:
            level, planned = dose_plan.level, dose_plan.replicates
            dose_plan.tests = self._tests(graph, plan, level.replicates, planned, f", {level.name}")
        plan.extended = plan.extended or bool(opened and opened["values"]["extended"])

    @cached_property
    def cohorts(self) -> list[list[str]]:
        """Content digests of each replicate's training patients; [] where all have the same.

        Raises:
            ConfigError: there are too few patients.
        """
        experiment = self.experiment
        training = [digest for digest, role in self.roles.items() if role == "train"]
        return deal_cohorts(training, experiment.replicates, experiment.seed)

    def _replicate(
        self,
        graph: JobGraph,
        planner: ReplicatePlanner,
        seed: int,
        arms: Sequence[str],
        at: str = "",
        cohorts: Sequence[Sequence[str]] = (),
    ) -> Replicate:
        """A replicate from its own cohort, where it has one; `at` names its dose, `cohorts` are
        those of the dose."""
        name, cohorts = f"replicate {seed}{at}", cohorts or self.cohorts
        if cohorts:
            cohort = set(cohorts[seed - self.seeds().start])
            roles = {d: r for d, r in self.roles.items() if r != "train" or d in cohort}
            planner = replace(planner, store=planner.specs.prepare(roles))
            graph.need(planner.store, label=f"prepare pairs of the cohort of {name}")
        return planner.plan(graph, seed, arms, name)

    def _with_longer(
        self,
        graph: JobGraph,
        replicates: list[Replicate],
        timed: Sequence[Replicate],
        ahead: bool,
    ) -> list[Replicate]:
        """The replicates with the arms that train as long as the generators would, once it is known
        from those that are `timed` how long that is; planned ahead, twice the updates."""
        arms = self.experiment.arms
        named = {arm_of(name): name for name in arms}
        made = [arm_of(name) for name in (self.experiment.decision.candidate, *arms)]
        for arm, name in named.items():
            if arm.order != "longer":
                continue
            generated = next(other for other in made if other.pairs.stages)
            trained: dict[str, Input] = {}
            for one in timed[: self.experiment.decision.first_look]:
                jobs = enumerate(one.generators(generated))
                trained |= {f"generator {number}/{one.seed}": job for number, job in jobs}
                shorter = named[replace(arm, order="mixed")]
                trained[f"segmenter {one.seed}"] = one.done(shorter)
            declared = self.replicates.settings_of(name).updates
            spec = self.replicates.specs.matched_updates(declared, trained)
            found = graph.need(spec, label=f"updates of {name}")
            if found is None and not ahead:
                return replicates
            updates = found["values"]["updates"] if found else 2 * declared
            planner = self.replicates.with_updates(updates / declared)
            replicates = [
                one.joined(self._replicate(graph, planner, one.seed, [name]), arms)
                for one in replicates
            ]
        return replicates

    def seeds(self) -> range:
        """Replicate seeds; disjoint from the sweep's, which lie below 1000."""
        replicates = self.experiment.replicates
        return range(replicates.seed, replicates.seed + replicates.count)

    def levels(self) -> list[Level]:
        """The doses beside the declared one, ascending by axis.

        Raises:
            ConfigError: a number of patients above that of the training patients, or the declared
                one.
        """
        curve, asked = self.experiment.learning_curve, self.experiment.dose_response
        primary = self.experiment.decision.primary
        settings = self.replicates.settings_of(primary[1])
        return [self._fewer(size) for size in sorted(curve.patients)] + [
            Level("synthetic_fraction", share, self.replicates.with_fraction(share), primary)
            for share in sorted(asked.synthetic_fraction)
            if settings.extra_slots(share) != settings.extra_slots()
        ]

    @property
    def size(self) -> int:
        """Training patients of a replicate."""
        trained = sum(role == "train" for role in self.roles.values())
        return len(self.cohorts[0]) if self.cohorts else trained

    def _fewer(self, size: int) -> Level:
        """A point of the learning curve beside the declared one."""
        experiment = self.experiment
        training = [digest for digest, role in self.roles.items() if role == "train"]
        if size == self.size or size > len(training):
            raise ConfigError(
                "learning_curve.patients must be other numbers than that of the declared "
                f"comparison, {self.size}, and at most the {len(training)} training patients, but "
                f"got {size}; the declared comparison stands on the curve anyway"
            )
        most = experiment.learning_curve.cohorts
        cohorts = deal_smaller(training, size, most, experiment.seed)
        arms = dict.fromkeys((*experiment.decision.primary, *experiment.learning_curve.arms))
        return Level("patients", size, self.replicates, tuple(arms), cohorts)

    def _level(self, graph: JobGraph, level: Level) -> LevelPlan:
        first, count = self.seeds().start, len(level.cohorts) or len(self.seeds())
        replicates = [
            self._replicate(
                graph, level.replicates, seed, level.arms, f", {level.name}", level.cohorts
            )
            for seed in range(first, first + count)
        ]
        return LevelPlan(level, replicates)

    @staticmethod
    def _tests(
        graph: JobGraph,
        plan: ComparisonPlan,
        replicates: ReplicatePlanner,
        planned: list[Replicate],
        at: str,
    ) -> dict[tuple[str, int], Spec]:
        """Test scores of every segmenter of some chains."""
        assert plan.opening is not None
        tests = {}
        for replicate in planned:
            for arm in replicate.segmenters:
                segmenter = replicate.done(arm)
                spec = replicates.specs.test_score(replicate.store, segmenter, plan.opening)
                graph.need(spec, label=f"test of {arm}, replicate {replicate.seed}{at}")
                tests[arm, replicate.seed] = spec
        return tests

    def rule(self) -> dict[str, Any]:
        """What is fixed before the test is opened."""
        experiment = self.experiment
        patients = sorted(digest for digest, role in self.roles.items() if role == "test")
        if not patients:
            raise DataError(
                "a comparison needs test patients, but no patient has that role; see data.roles"
            )
        decision = to_dict(experiment.decision)
        del decision["assumed"]  # what was assumed while planning decides nothing
        del decision["subgroups_file"]  # what it says enters, not where it lies
        for name, usual in _USUAL.items():
            if decision[name] == usual:  # left out: rules from before are still the same
                del decision[name]
        rule = {
            "arms": list(experiment.arms),
            "replicates": list(self.seeds()),
            "patients": patients,
            "decision": decision,
        }
        if self.subgroups:
            rule["subgroups"] = {n: of.get("groups", {}) for n, of in self.subgroups.items()}
        if self.cohorts:
            rule["cohorts"] = self.cohorts
        if experiment.learning_curve.patients:
            rule["learning_curve"] = to_dict(experiment.learning_curve)
        asked = to_dict(experiment.dose_response)
        doses = {axis: levels for axis, levels in asked.items() if levels}
        return {**rule, "dose_response": doses} if doses else rule
