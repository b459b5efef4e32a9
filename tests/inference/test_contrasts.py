"""Contrasts of arms beside the answer: by hand, by an independent computation, and when absent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from harness.config.decision import DecisionConfig
from harness.inference.contrasts import Contrast, contrasts
from harness.inference.table import Cell, Table

MEANS = {"none": 0.70, "traditional": 0.73, "gan": 0.71, "traditional+gan": 0.76}


def cells(means: Mapping[str, float], sd: float = 0.02) -> dict[str, np.ndarray]:
    """12 patients x 5 replicates an arm: a mean, its patients, its replicates, the rest."""
    rng = np.random.default_rng(3)
    shape = 12, 5
    return {
        arm: mean
        + rng.normal(0, sd, (12, 1))
        + rng.normal(0, sd / 2, (1, 5))
        + rng.normal(0, sd, shape)
        for arm, mean in means.items()
    }


def table(values: Mapping[str, np.ndarray]) -> Table:
    return Table(
        Cell(f"p{p}", r, arm, float(value))
        for arm, found in values.items()
        for (p, r), value in np.ndenumerate(found)
    )


def found(means: Mapping[str, float], **decision: object) -> dict[str, Contrast]:
    rule = DecisionConfig.model_validate({"secondary": [], **decision})
    return {one.name: one for one in contrasts(table(cells(means)), rule)}


def interval(d: np.ndarray) -> tuple[float, float]:
    """Steps 1 to 4 of docs/statistics.md from sums of squares, with scipy's own quantiles."""
    patients, replicates = d.shape
    by_patient, by_replicate = d.mean(1), d.mean(0)
    msp = replicates * by_patient.var(ddof=1)
    msr = patients * by_replicate.var(ddof=1)
    whole = ((d - d.mean()) ** 2).sum()
    rest = whole - (patients - 1) * msp - (replicates - 1) * msr
    mse = rest / ((patients - 1) * (replicates - 1))
    t = max(msp + msr - mse, msp, msr)
    weight = msp / (msp + msr) if t == msp + msr - mse else float(msp >= msr)
    ends = stats.t.ppf(0.975, [patients - 1, replicates - 1]) @ [weight, 1 - weight]
    half = ends * np.sqrt(t / d.size)
    return float(d.mean() - half), float(d.mean() + half)


def test_the_factorial_of_four_means_by_hand() -> None:
    values = {
        arm: np.full((12, 5), mean) + 1e-6 * cells({arm: 0.0})[arm] for arm, mean in MEANS.items()
    }
    of = {one.name: one.inference.mean for one in contrasts(table(values), DecisionConfig())}
    # .03 without, .05 with pairs; .01 without, .03 with augmentation
    assert of == pytest.approx(
        {"augmentation": 0.04, "synthetic pairs": 0.02, "interaction": 0.02}, abs=1e-6
    )


def test_every_estimate_and_interval_by_an_independent_computation() -> None:
    means = MEANS | {"duplicate": 0.731, "traditional+nothing": 0.725, "real-mask": 0.74}
    c = cells(means)
    n, t, g, tg = (c[arm] for arm in MEANS)
    expected = {
        "duplicate - traditional": c["duplicate"] - t,
        "traditional+nothing - traditional": c["traditional+nothing"] - t,
        "real-mask - traditional": c["real-mask"] - t,
        "traditional+gan - real-mask": tg - c["real-mask"],
        "augmentation": ((t - n) + (tg - g)) / 2,
        "synthetic pairs": ((g - n) + (tg - t)) / 2,
        "interaction": (tg - t) - (g - n),
    }
    seen = found(means)
    assert list(seen) == list(expected)
    for name, d in expected.items():
        about = seen[name].inference
        assert about.mean == pytest.approx(d.mean(), abs=1e-12)
        assert about.interval_95 == pytest.approx(interval(d), abs=1e-9)
        assert sum(weight for _, weight in seen[name].weights) == 0
    groups = ["control"] * 2 + ["stage"] * 2 + ["factorial"] * 3
    assert [one.group for one in seen.values()] == groups


@pytest.mark.parametrize(
    ("arms", "names"),
    [
        ("traditional traditional+gan", []),
        ("traditional duplicate", ["duplicate - traditional"]),
        ("none duplicate traditional+gan", []),
        ("none nothing", ["nothing - none"]),
        ("real-mask traditional", ["real-mask - traditional"]),
        ("real-mask traditional+gan", ["traditional+gan - real-mask"]),
        ("real-mask gan none", []),
        ("none traditional gan", []),
        ("traditional traditional+gan:added synthetic-only pretrain-finetune", []),
        ("traditional shuffled oracle", ["shuffled - traditional", "oracle - traditional"]),
    ],
)
def test_a_contrast_without_one_of_its_arms_is_absent(arms: str, names: list[str]) -> None:
    assert list(found(dict.fromkeys(arms.split(), 0.7))) == names


def test_the_primary_comparison_is_not_its_own_control() -> None:
    means = dict.fromkeys(("traditional", "duplicate", "oracle"), 0.7)
    assert list(found(means, candidate="duplicate")) == ["oracle - traditional"]


def test_the_factorial_is_of_the_candidates_pairs() -> None:
    names = ["none", "traditional", "fresh-phantoms", "oracle"]
    seen = found(dict.fromkeys(names, 0.7), candidate="oracle")
    assert "pairs of further phantoms" in seen
    assert dict(seen["interaction"].weights) == dict(zip(names, (1, -1, -1, 1), strict=True))


def test_few_patients_have_a_mean_and_no_interval() -> None:
    few = Table(c for c in table(cells(MEANS)).cells if c.patient in ("p0", "p1"))
    seen = contrasts(few, DecisionConfig())
    assert [one.inference.status for one in seen] == ["cells only"] * 3
    shown = seen[0].to_dict()
    assert shown["interval_95"] is None
    assert np.isfinite(shown["mean"])
