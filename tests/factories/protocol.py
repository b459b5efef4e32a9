"""A comparison as planned, trained by a stand-in, with real openings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from factories.fake_executor import FakeExecutor
from factories.tiny import Tiny, digest_for, tiny_experiment

from harness.compare.protocol import Comparison, ComparisonPlan
from harness.compare.replicate import ReplicatePlanner


class Protocol:
    """A comparison over a real store, with a stand-in for all training.

    Attributes:
        asked: what the planner asks of others, as `Comparison` has it.
    """

    def __init__(self, root: Path, roles: Any = None, **experiment: Any) -> None:
        self.asked: dict[str, Any] = {}
        experiment = {"replicates": {"count": 2}, **experiment}
        more = {"roles": roles} if roles else {}
        self.tiny = Tiny(root, tiny_experiment(**experiment), **more)
        self.hands = FakeExecutor(self.tiny.work, lambda *about: {"quality/kid": 0.1})

    @property
    def planner(self) -> Comparison:
        experiment = self.tiny.experiment
        roles = {digest_for(p): role for p, role in self.tiny.patients.items()}
        replicates = ReplicatePlanner(
            self.tiny.specs, self.tiny.store, experiment.mask, experiment.image
        )
        return Comparison(replicates, roles, **self.asked)

    def run(self, passes: int = 1000) -> ComparisonPlan:
        return self.hands.drive(lambda graph: self.planner.plan(graph), passes)

    def again(self, **experiment: Any) -> Protocol:
        """Another experiment in the same work folder."""
        return Protocol(self.tiny.root, **experiment)

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.hands.done]
