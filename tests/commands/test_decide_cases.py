"""`harness decide` on tables whose rows are no cases of their own: refused, or asked about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from factories.cli import run_cli
from factories.decide import AB

from harness.commands.decide.dependence import check_cases
from harness.commands.decide.request import DecideRequest
from harness.inference.decision import DecisionRule
from harness.inference.table import Cell, Table

Arms = dict[str, np.ndarray]


def arms(seed: int, patients: int = 20, replicates: int = 5, spread: float = 0.05) -> Arms:
    """Two arms that do not differ: patients share their difficulty, all else is each arm's own."""
    rng = np.random.default_rng(seed)
    shared = 0.75 + rng.normal(0, spread, (patients, 1))
    shape = patients, replicates
    return {
        arm: shared
        + rng.normal(0, 0.25 * spread, (patients, 1))
        + rng.normal(0, 0.1 * spread, (1, replicates))
        + rng.normal(0, 0.25 * spread, shape)
        for arm in "AB"
    }


def written(path: Path, values: Arms, decimals: int = 6) -> Path:
    rows = [
        f"p{p:03},{r},{arm},{value:.{decimals}f}"
        for arm, of in values.items()
        for (p, r), value in np.ndenumerate(of)
    ]
    path.write_text("patient,replicate,arm,value\n" + "\n".join(rows))
    return path


def epochs(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return values[:, :1] + rng.normal(0, 0.004, values.shape).cumsum(axis=1)


def measured_again(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    found = values.copy()
    found[:, 3] = found[:, 1] + rng.normal(0, 5e-4, len(values))
    return found


def shuffled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.array([column[rng.permutation(len(column))] for column in values.T]).T


def sorted_columns(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.sort(values, axis=0)


def by_result(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return values[:, values.mean(axis=0).argsort()]


def slices(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    parts = np.repeat(values, 10, axis=0)
    return parts + rng.normal(0, 0.005, (len(parts), 1))


BROKEN = (
    (epochs, "replicates of 'B' that follow each other are alike"),
    (measured_again, "replicates '1' and '3' of 'B' are nearly equal"),
    (shuffled, "no patient of 'B' is easier than another"),
    (sorted_columns, "all replicates of both arms order the patients alike"),
    (by_result, "numbered in the order of their means"),
    (slices, "patients whose ids follow each other have like differences"),
)


@pytest.mark.parametrize(("spoil", "question"), BROKEN)
def test_what_may_be_no_case_of_its_own_is_asked_about(
    tmp_path: Path, spoil: Callable[[np.ndarray, np.random.Generator], np.ndarray], question: str
) -> None:
    rng = np.random.default_rng(3)
    spoiled = {arm: spoil(values, rng) for arm, values in arms(1).items()}
    code, out, err = run_cli("decide", written(tmp_path / "s.csv", spoiled), *AB)
    assert code == 0
    assert "warning: " in err
    assert question in err
    assert question not in out


@pytest.mark.parametrize("replicates", [5, 8])
@pytest.mark.parametrize(("spread", "decimals"), [(0.05, 6), (0.05, 3), (0.008, 3), (0.2, 2)])
def test_honest_tables_are_asked_nothing(replicates: int, spread: float, decimals: int) -> None:
    request, rule = DecideRequest(Path("s.csv")), DecisionRule("A", "B", 0.01)
    for seed in range(25):
        cells = [
            Cell(f"p{p:03}", r, arm, round(min(value, 1.0), decimals))
            for arm, values in arms(seed, 10 + seed, replicates, spread).items()
            for (p, r), value in np.ndenumerate(values)
        ]
        assert check_cases(request, rule, Table(cells)) == []


def test_a_patient_under_two_names_is_refused(tmp_path: Path) -> None:
    twice = {arm: values[[*range(20), 4]] for arm, values in arms(1).items()}
    code, out, err = run_cli("decide", written(tmp_path / "s.csv", twice), *AB)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "each patient must be another person, but got 'p004' and 'p020' with the same" in err


def test_patients_that_are_all_found_are_other_people(tmp_path: Path) -> None:
    """Dice of 1 throughout is no sign of a copy."""
    values = arms(1)
    for of in values.values():
        of[[2, 7, 11]] = 1.0
    assert run_cli("decide", written(tmp_path / "s.csv", values), *AB)[0] == 0


def test_a_code_for_none_is_no_value(tmp_path: Path) -> None:
    """A distance of -1 would be the best of all."""
    values = {arm: 100 * of for arm, of in arms(1).items()}
    values["B"][3, :2] = -1
    scores = written(tmp_path / "s.csv", values)
    options = (scores, *AB, "--better", "lower", "--margin", "1")
    code, out, err = run_cli("decide", *options)
    assert (code, out) == (2, "")
    assert "a value must be what was measured, but got -1, 2 times and nothing else below 0" in err
    values["B"][3, 1] = -1.5
    assert run_cli("decide", written(scores, values), *options[1:])[0] == 0


def test_replicates_that_lack_between_others_are_named(tmp_path: Path) -> None:
    chosen = {arm: values[:, :7] for arm, values in arms(1, replicates=7).items()}
    scores = written(tmp_path / "s.csv", chosen)
    kept = [row for row in scores.read_text().splitlines() if row.split(",")[1] not in "35"]
    scores.write_text("\n".join(kept))
    err = run_cli("decide", scores, *AB)[2]
    assert "no replicate 3, 5: one that was trained counts whatever it gave" in err
