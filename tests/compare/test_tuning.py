"""Each side chooses its own settings: equally many, by halving, by 3D validation Dice on seeds of
the sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.base.errors import DataError
from harness.base.files import read_json
from harness.compare.replicate import ReplicatePlanner
from harness.compare.tuning import (
    Tuning,
    TuningPlan,
    candidates_of_arm,
    lead_words,
    settings_source,
    tuned_arms,
    untunable,
)
from harness.jobs.spec import Spec
from tests.factories.fake_executor import FakeExecutor
from tests.factories.tiny import Tiny, tiny_experiment

Dice = Callable[[Mapping[str, Any], int], float | None]
SPACE = {
    "augmentation.magnitude": {"values": [0.5, 1.0, 2.0]},
    "learning_rate": {"values": [0.0005, 0.001, 0.002]},
    "synthetic_fraction": {"values": [0.25, 0.5]},
}
SWEEP = {"seeds": 2, "segmentation": {"candidates": 5, "space": SPACE}}


class Choice:
    """A tuning over a real store; Dice of every validation patient by the segmenter's settings and
    seed."""

    def __init__(self, root: Path, dice: Dice, **experiment: Any) -> None:
        experiment = {"sweep": SWEEP, "segmentation": {"updates": 40}, **experiment}
        self.tiny = Tiny(root, tiny_experiment(**experiment))

        def values(spec: Spec) -> Mapping[str, Any]:
            if spec.kind != "validation-score":
                return {"converged": True}
            of = self.tiny.work.job(spec.inputs["segmenter"]).spec()
            value = dice(of.config, of.seed)
            by_patient = {"a": value, "b": value and value + 0.02}
            return {"measures": dict.fromkeys(("dice", "hd95_mm"), by_patient)}

        self.hands = FakeExecutor(self.tiny.work, lambda *about: {"quality/kid": 0.1}, values)

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


def best_strong(config: Mapping[str, Any], seed: int) -> float:
    """Magnitude 2 and a rate of 0.0005 are best at any length; seeds differ by more than settings
    do, and length adds more than both."""
    magnitude, rate = config["augmentation"]["magnitude"], config["learning_rate"]
    return (
        0.5 - 0.01 * abs(magnitude - 2) - 20 * abs(rate - 0.0005) + 0.1 * seed
        + 0.001 * config["updates"]
    )  # fmt: skip


def test_the_better_half_of_each_rung_trains_twice_as_long_and_the_best_wins(
    tmp_path: Path,
) -> None:
    plan = Choice(tmp_path, best_strong).run()
    assert plan.finished
    assert set(plan.arms) == {"traditional", "traditional+gan"}
    for arm in plan.arms.values():
        assert [[r.updates for r in c.rungs] for c in arm.candidates if len(c.rungs) == 3] == [
            [10, 20, 40]
        ] * 2
        reached = Counter(rung.updates for c in arm.candidates for rung in c.rungs)
        assert reached == {10: 5, 20: 3, 40: 2}
        values = [best_strong(_config(c.params), 0) for c in arm.candidates]
        assert arm.chosen is arm.candidates[int(np.argmax(values))]
        assert arm.lead is not None
        assert arm.lead[0] > 0


def test_of_distances_the_lowest_wins(tmp_path: Path) -> None:
    """The same values as millimetres: what was worst by Dice is chosen, by as large a lead."""
    decision = {"measure": "hd95_mm"}
    plan = Choice(tmp_path, best_strong, decision=decision).run()
    for arm in plan.arms.values():
        last = [c for c in arm.candidates if len(c.rungs) == 3]
        values = [best_strong(_config(c.params), 0) for c in arm.candidates]
        assert arm.chosen is arm.candidates[int(np.argmin(values))]
        means = sorted(c.rungs[-1].mean or 0.0 for c in last)
        assert arm.lead is not None
        assert arm.lead[0] == pytest.approx(means[1] - means[0])
    (tried, *_) = plan.to_dict()["traditional"]["candidates"]
    assert set(tried["rungs"][0]) == {"updates", "validation_hd95_mm", "seeds"}


def _config(params: Mapping[str, Any]) -> dict[str, Any]:
    magnitude = params.get("augmentation.magnitude", 1.0)
    return {
        "augmentation": {"magnitude": magnitude},
        "learning_rate": params.get("learning_rate", 0.001),
        "updates": 40,
    }


def test_both_sides_get_as_many_settings_and_updates_on_seeds_of_the_sweep(tmp_path: Path) -> None:
    choice = Choice(tmp_path, best_strong)
    choice.run()
    updates: Counter[str] = Counter()
    for spec in choice.trained():
        updates[spec.config["fill"]["extra"]] += spec.config["updates"]
        assert spec.seed in (0, 1)
    assert updates == dict.fromkeys(("real", "gan"), 2 * (5 * 10 + 3 * 20 + 2 * 40))


def test_the_side_with_fewer_settings_decides_how_many_both_try(tmp_path: Path) -> None:
    space = {"synthetic_fraction": {"values": [0.25, 0.5, 0.75]}, "learning_rate": {"values": [1]}}
    plan = Choice(
        tmp_path, lambda *_: 0.5, sweep={"seeds": 1, "segmentation": {"space": space}}
    ).run()
    assert [len(arm.candidates) for arm in plan.arms.values()] == [2, 2]


def test_of_equal_candidates_the_experiments_own_wins(tmp_path: Path) -> None:
    plan = Choice(tmp_path, lambda *about: 0.5).run()
    for arm in plan.arms.values():
        assert arm.chosen is not None
        assert (arm.chosen.params, arm.lead) == ({}, (0.0, 0.0))


def test_a_choice_cut_short_has_no_value_and_goes_on(tmp_path: Path) -> None:
    choice = Choice(tmp_path, best_strong)
    early = choice.run(passes=1)
    assert not early.finished
    assert all(arm.chosen is None for arm in early.arms.values())
    done = choice.run()
    assert done.finished
    assert len(choice.trained()) == 2 * 2 * (5 + 3 + 2)


def test_without_a_validation_dice_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs validation patients with contours"):
        Choice(tmp_path, lambda *about: None).run()


def test_settings_that_are_one_in_an_arm_are_tried_once() -> None:
    experiment = tiny_experiment(sweep=SWEEP)
    for arm in ("traditional", "traditional+gan"):
        found = candidates_of_arm(experiment, arm)
        assert found[0] == {}
        assert len({repr(sorted(params.items())) for params in found}) == len(found) == 5
    # Without augmentation no magnitude is tried; the own rate is no further candidate.
    plain = tiny_experiment(
        sweep=SWEEP, decision={"baseline": "none", "candidate": "gan", "secondary": []}
    )
    found = candidates_of_arm(plain, "none")
    assert all("augmentation.magnitude" not in params for params in found)


def test_settings_whose_usual_value_is_left_out_of_specs_are_varied_too() -> None:
    space = {"structure_share": {"values": [0.4, 0.6]}, "neighbours": {"values": [0, 1]}}
    experiment = tiny_experiment(sweep={"segmentation": {"candidates": 6, "space": space}})
    found = candidates_of_arm(experiment, "traditional")
    assert found[0] == {}
    assert {tuple(params.get(path) for path in space) for params in found[1:]} == {
        (share, neighbours) for share in (0.4, 0.6) for neighbours in (0, 1)
    }


@pytest.mark.parametrize(
    ("arm", "of"),
    [
        ("none", "traditional"),
        ("duplicate", "traditional+gan"),
        ("real-mask", "traditional+gan"),
        ("gan", "traditional+gan"),
        ("synthetic-only", "traditional+gan"),
        ("traditional+gan", "traditional+gan"),
        ("traditional+nothing", "traditional+gan"),
    ],
)
def test_a_control_takes_the_settings_of_the_arm_it_controls(arm: str, of: str) -> None:
    assert settings_source(arm, ["traditional", "traditional+gan"]) == of


def test_each_question_that_is_answered_has_its_arms_choose() -> None:
    arms = ["traditional", "traditional+gan", "traditional+nothing", "traditional+gan:added"]
    both = tiny_experiment(arms=arms, decision={"question": "add", "secondary": []})
    tuned = tuned_arms(both)
    assert tuned == [*arms[2:], *arms[:2]]
    assert settings_source("traditional+real-again:added", tuned) == "traditional+gan:added"
    assert settings_source("duplicate", tuned) == "traditional+gan"
    one = tiny_experiment(arms=arms[:2], decision={"secondary": []})
    assert tuned_arms(one) == arms[:2]


def test_what_cannot_be_chosen_is_said() -> None:
    space = {"synthetic_fraction": {"values": [0.25]}}
    asked = {"segmentation": {"space": space}}
    assert "no setting of the arm 'traditional'" in untunable(tiny_experiment(sweep=asked))
    assert untunable(tiny_experiment(sweep=SWEEP)) == ""


def test_a_small_lead_is_called_one() -> None:
    assert lead_words((0.004, 0.005)).endswith("chosen by a hair")
    assert "hair" not in lead_words((0.006, 0.005))


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"learning_rate": {"low": 0.001, "high": 0.01}}, "must be a list of `values`"),
        ({"lerning_rate": {"values": [0.001]}}, "did you mean 'learning_rate'"),
        ({"learning_rate": {"values": [-1]}}, r"learning_rate.values\[0\] must be"),
        ({}, "at least 1"),
    ],
)
def test_a_wrong_space_is_refused(space: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tiny_experiment(sweep={"segmentation": {"space": space}})
