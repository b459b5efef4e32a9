"""Planning facts against hand-worked designs and the published first look."""

from __future__ import annotations

import math
from typing import Any

import pytest
from scipy import stats

from harness.base.errors import DataError
from harness.config.decision import DecisionConfig
from harness.config.experiment import Experiment, to_dict
from harness.inference.crossed_t import VarianceComponents
from harness.inference.design import (
    assumed_components,
    detectable_words,
    equivalence_words,
    plan_facts,
)
from harness.inference.power import patients_needed, standard_error


def test_what_the_first_comparison_on_openkbp_could_see() -> None:
    """30 patients x 5 replicates: standard error 0.0047, smallest effect about 0.015."""
    spread = assumed_components(DecisionConfig())
    assert spread == VarianceComponents(0.019, 0.006, 0.02)
    facts = plan_facts(spread, 30, 5, 0.01)
    by_hand = math.sqrt(0.019**2 / 30 + 0.006**2 / 5 + 0.02**2 / 150)
    assert standard_error(spread, 30, 5) == pytest.approx(by_hand)
    assert facts.detectable == pytest.approx(0.015, abs=0.001)
    assert not facts.equivalence_in_reach
    assert facts.replicates_needed is None  # the patients alone leave 0.019 / sqrt(30)


def test_many_patients_come_near_the_textbook_number() -> None:
    """No replicate part: a t over patients, (t[.975] + t[.8]) sd / sqrt(P) <= margin."""
    facts = plan_facts(VarianceComponents(0.05, 0.0, 0.0), 30, 5, 0.01)
    textbook = next(
        n
        for n in range(3, 500)
        if stats.t.ppf([0.975, 0.8], n - 1).sum() * 0.05 / math.sqrt(n) <= 0.01
    )
    assert facts.patients_needed == textbook
    assert facts.replicates_needed is None
    assert f"takes {textbook} patients with 5 replicates (a verdict takes 10" in (
        detectable_words(facts)
    )
    assert detectable_words(facts).endswith("and is out of reach by replicates alone.")


@pytest.mark.parametrize(
    ("spread", "said"),
    [
        ((0.0, 0.03, 0.0), "or more), and is out of reach by patients alone."),
        ((0.3, 0.3, 0.0), "is out of reach by patients alone and by replicates alone (up to 500)."),
        ((0.001, 0.001, 0.001), "is seen with 80 % power: enough for the margin of 0.01."),
    ],
)
def test_each_way_out_in_words(spread: tuple[float, float, float], said: str) -> None:
    assert detectable_words(plan_facts(VarianceComponents(*spread), 20, 8, 0.01)).endswith(said)


def test_words_never_plan_a_pilot() -> None:
    """Fewer than 10 patients or 5 replicates would see the margin; a verdict takes as many."""
    narrow = plan_facts(VarianceComponents(0.001, 0.001, 0.03), 6, 6, 0.017)
    assert narrow.detectable > 0.017
    assert (narrow.patients_needed, narrow.replicates_needed) == (10, 5)
    assert (
        "takes 10 patients with 5 replicates (a verdict takes 10 patients and 5 replicates or "
        "more)."
    ) in detectable_words(narrow)
    few = plan_facts(VarianceComponents(0.02, 0.0, 0.01), 30, 3, 0.01)
    assert few.patients_needed == patients_needed(VarianceComponents(0.02, 0.0, 0.01), 5, 0.01)
    assert f"takes {few.patients_needed} patients with 5 replicates" in detectable_words(few)
    enough = detectable_words(plan_facts(VarianceComponents(0.001, 0.001, 0.001), 30, 4, 0.01))
    assert enough.endswith(", but a verdict takes 10 patients and 5 replicates or more.")


def test_beside_a_result_the_words_are_of_the_design() -> None:
    facts = plan_facts(VarianceComponents(0.02, 0.01, 0.02), 20, 5, 0.01)
    assert detectable_words(facts, observed=True) == (
        "the design by the spread observed, which does not judge this result: "
        + detectable_words(facts)
    )


def test_equivalence_in_and_out_of_reach() -> None:
    assert "is in reach" in equivalence_words(
        plan_facts(VarianceComponents(0, 0.005, 0), 30, 10, 0.01)
    )
    out = equivalence_words(plan_facts(VarianceComponents(0, 0.03, 0), 30, 10, 0.01))
    assert '"no useful effect" (within 0.01) is out of reach' in out


def test_one_patient_plans_nothing() -> None:
    with pytest.raises(DataError, match="at least 2 patients"):
        plan_facts(VarianceComponents(0.1, 0.1, 0.1), 1, 5, 0.01)


@pytest.mark.parametrize("name", ["patient", "replicate", "residual"])
def test_assumed_deviations_are_not_negative(name: str) -> None:
    def given(value: Any) -> Experiment:
        return Experiment.model_validate({"name": "x", "decision": {"assumed": {name: value}}})

    assert to_dict(given(0))["decision"]["assumed"][name] == 0
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        given(-0.001)
