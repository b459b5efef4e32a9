"""The choice of magnitude and share: equal candidates, validation Dice alone, seeds of the
sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.base.errors import DataError
from harness.base.files import read_json
from harness.compare.replicate import ReplicatePlanner
from harness.compare.tuning import Tuning, TuningPlan, untunable
from harness.jobs.spec import Spec
from tests.factories.fake_executor import FakeExecutor
from tests.factories.tiny import Tiny, tiny_experiment

Dice = Callable[[float, float, int], float | None]


class Choice:
    """A tuning over a real store; validation Dice by magnitude, share and seed."""

    def __init__(self, root: Path, dice: Dice, **experiment: Any) -> None:
        self.tiny = Tiny(root, tiny_experiment(sweep={"seeds": 2}, **experiment))

        def trained(spec: Spec) -> Mapping[str, Any]:
            if spec.kind != "segmenter":
                return {"converged": True}
            magnitude = spec.config["augmentation"]["magnitude"]
            return {
                "validation_dice": dice(magnitude, spec.config["synthetic_fraction"], spec.seed)
            }

        self.hands = FakeExecutor(self.tiny.work, lambda *about: {"quality/kid": 0.1}, trained)

    @property
    def planner(self) -> Tuning:
        tiny = self.tiny
        return Tuning(
            ReplicatePlanner(tiny.specs, tiny.store, tiny.experiment.mask, tiny.experiment.image)
        )

    def run(self, passes: int = 1000) -> TuningPlan:
        found: TuningPlan = self.hands.drive(lambda graph: self.planner.plan(graph), passes)
        return found

    def trained(self) -> list[Spec]:
        kinds = [digest for kind, digest, _ in self.hands.done if kind == "segmenter"]
        folder = self.tiny.work.jobs / "segmenter"
        return [Spec.from_dict(read_json(folder / digest / "spec.json")) for digest in kinds]


def peak(magnitude: float, share: float, seed: int) -> float:
    """Best at magnitude 2 and share 0.25; seeds differ by more than candidates do."""
    return 0.7 - 0.01 * abs(magnitude - 2) - 0.02 * abs(share - 0.25) + 0.1 * seed


def test_each_axis_takes_the_highest_mean_over_seeds(tmp_path: Path) -> None:
    plan = Choice(tmp_path, peak).run()
    assert plan.finished
    assert plan.chosen == {"magnitude": 2.0, "synthetic_fraction": 0.25}
    plain = plan.to_dict()
    assert [c["value"] for c in plain["magnitude"]["candidates"]] == [0.5, 1.0, 2.0]
    assert plain["magnitude"]["candidates"][2]["seeds"] == pytest.approx([0.695, 0.795])
    assert (plain["magnitude"]["arm"], plain["synthetic_fraction"]["arm"]) == (
        "traditional",
        "traditional+gan",
    )


def test_both_sides_train_as_many_segmenters_on_seeds_of_the_sweep(tmp_path: Path) -> None:
    choice = Choice(tmp_path, peak)
    choice.run()
    specs = choice.trained()
    by_arm = {"real": 0, "gan": 0}
    for spec in specs:
        by_arm[spec.config["fill"]["extra"]] += 1
        assert spec.seed in (0, 1)
    assert by_arm == {"real": 6, "gan": 6}
    shares = [s for s in specs if s.config["fill"]["extra"] == "gan"]
    assert {s.config["augmentation"]["magnitude"] for s in shares} == {2.0}  # the one chosen before


def test_of_equal_candidates_the_experiments_own_wins(tmp_path: Path) -> None:
    plan = Choice(tmp_path, lambda *about: 0.5).run()
    assert plan.chosen == {"magnitude": 1.0, "synthetic_fraction": 0.5}


def test_a_choice_cut_short_has_no_value_and_goes_on(tmp_path: Path) -> None:
    choice = Choice(tmp_path, peak)
    early = choice.run(passes=1)
    assert not early.chosen
    assert not early.finished
    assert choice.run().chosen == {"magnitude": 2.0, "synthetic_fraction": 0.25}
    assert len(choice.trained()) == 12


def test_without_a_validation_dice_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs validation patients with contours"):
        Choice(tmp_path, lambda *about: None).run()


@pytest.mark.parametrize(
    ("baseline", "candidate", "why"),
    [
        ("traditional", "traditional+gan", ""),
        ("traditional", "gan", ""),
        ("traditional", "oracle", ""),
        ("none", "gan", "the baseline 'none' does not augment"),
        ("traditional", "duplicate", "the extra places of 'duplicate' hold no synthetic pairs"),
        ("traditional", "synthetic-only", "'synthetic-only' does not mix its pairs with real ones"),
    ],
)
def test_what_cannot_be_chosen_is_said(baseline: str, candidate: str, why: str) -> None:
    assert untunable(baseline, candidate) == why


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"magnitude": [1.0], "synthetic_fraction": [0.25, 0.5]},
            "as many candidates, but got 1 of",
        ),
        (
            {"magnitude": [1.0, 1.0], "synthetic_fraction": [0.25, 0.5]},
            "candidates of magnitude must differ",
        ),
    ],
)
def test_unequal_candidates_are_refused(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tiny_experiment(sweep={"segmentation": given})
