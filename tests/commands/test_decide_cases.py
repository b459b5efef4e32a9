"""`harness decide` on tables whose rows are no cases of their own: refused, or asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from factories.cli import run_cli
from factories.decide import AB

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
