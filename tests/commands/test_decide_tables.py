"""`harness decide` on tables of other shapes, and on trainings that are listed twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from factories.cli import run_cli
from factories.decide import AB, vector, write


def copied(cells: np.ndarray, *pairs: tuple[int, int], noise: float = 0.0) -> np.ndarray:
    """With replicates (to, from) as copies; `noise` in standard deviations over patients."""
    found = cells.copy()
    rng = np.random.default_rng(5)
    for to, source in pairs:
        spread = noise * float(cells.mean(axis=1).std())
        found[:, to] = found[:, source] + rng.normal(0, spread, len(cells))
    return found


def table(path: Path, arms: dict[str, np.ndarray]) -> Path:
    rows = [
        f"p{p},{r},{arm},{value}"
        for arm, values in arms.items()
        for (p, r), value in np.ndenumerate(values)
    ]
    path.write_text("patient,run,arm,value\n" + "\n".join(rows))
    return path


def plain(seed: int, patients: int = 12, replicates: int = 5) -> np.ndarray:
    """Dice of an arm: patients, replicates and residual vary."""
    rng = np.random.default_rng(seed)
    values = 0.8 + rng.normal(0, 0.03, (patients, 1)) + rng.normal(0, 0.005, (1, replicates))
    return np.round(values + rng.normal(0, 0.01, (patients, replicates)), 6)


def test_an_arm_a_column_is_judged_like_its_long_table(tmp_path: Path) -> None:
    long = write(tmp_path / "long.csv", {"B": vector()})
    first = 0.7 + 0.01 * np.arange(10)[:, None] - 0.002 * np.arange(5)[None, :]
    second = first + vector()
    rows = [f"pt_{p};{r};{first[p, r]};{second[p, r]}" for p in range(10) for r in range(5)]
    text = "sep=;\nCase;Seed;A;B\n" + "\n".join(rows)
    wide = tmp_path / "wide.csv"
    wide.write_text(text.replace(".", ","))
    options = ("--patient", "case", "--replicate", "seed")
    one, other = (
        json.loads(run_cli("decide", scores, *AB, *more, "--json")[1])
        for scores, more in ((long, ()), (wide, options))
    )
    assert one["effects"] == other["effects"]
    assert "100 values have a decimal comma, read as such" in other["notes"]


@pytest.mark.parametrize("noise", [0.0, 5e-4])
def test_a_training_that_is_listed_twice_is_refused(tmp_path: Path, noise: float) -> None:
    arms = {"A": plain(1), "B": copied(plain(2), (3, 1), noise=noise)}
    code, out, err = run_cli("decide", table(tmp_path / "s.csv", arms), *AB)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "got '1' and '3' of arm 'B' as copies of each other" in err
    assert err.endswith("was one training listed twice? Remove the copies\n")


def test_trainings_that_are_alike_are_no_copies(tmp_path: Path) -> None:
    arms = {"A": plain(1), "B": copied(plain(2), (3, 1), noise=5e-3)}
    assert run_cli("decide", table(tmp_path / "s.csv", arms), *AB)[0] == 0


def test_one_failed_patient_makes_no_copies_of_the_others(tmp_path: Path) -> None:
    """A distance of 1000 in each replicate would hide all differences of the other patients."""
    far = {arm: 10 + 100 * (plain(seed) - 0.8) for arm, seed in (("A", 1), ("B", 2))}
    for values in far.values():
        values[4] = 5000
    scores = table(tmp_path / "s.csv", far)
    code, _, err = run_cli("decide", scores, *AB, "--better", "lower", "--margin", "1")
    assert (code, "copies" in err) == (0, False)


def test_an_arm_that_was_trained_once_is_asked_about(tmp_path: Path) -> None:
    same = np.repeat(plain(1)[:, :1], 5, axis=1)
    scores = table(tmp_path / "s.csv", {"A": same, "B": plain(2)})
    code, out, err = run_cli("decide", scores, *AB)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "all replicates of 'A' are copies in" in err
    assert "keep one replicate (a single run gets an interval over patients)" in err
    assert "or say --deterministic 'A' if nothing in it is random (an atlas, a threshold)" in err
    code, out, err = run_cli("decide", scores, *AB, "--deterministic", "A")
    assert code == 0
    assert "warning: the replicates of 'A' are equal: nothing in it is random" in err
    for arm, said in (("B", "but got 'B', which varies"), ("C", "but got 'C'; name one of them")):
        code, _, err = run_cli("decide", scores, *AB, "--deterministic", arm)
        assert (code, said in err) == (2, True)


@pytest.mark.parametrize("more", [(), ("--deterministic", "A", "--deterministic", "B")])
def test_copies_of_both_arms_are_one_run(tmp_path: Path, more: tuple[str, ...]) -> None:
    arms = {arm: np.repeat(plain(seed)[:, :1], 5, axis=1) for arm, seed in (("A", 1), ("B", 2))}
    code, _, err = run_cli("decide", table(tmp_path / "s.csv", arms), *AB, *more)
    assert (code, "got copies of one for each arm (A, B)" in err) == (2, True)
    assert "keep one replicate: a single run gets an interval over patients" in err


def test_arms_that_no_comparison_names_may_hold_copies(tmp_path: Path) -> None:
    arms = {"A": plain(1), "B": plain(2), "C": np.repeat(plain(3)[:, :1], 5, axis=1)}
    scores = table(tmp_path / "s.csv", arms)
    assert run_cli("decide", scores, *AB)[0] == 0
    assert run_cli("decide", scores, *AB, "--secondary", "A:C")[0] == 2


def test_a_replicate_in_percent_is_named(tmp_path: Path) -> None:
    values = plain(1)
    values[:, 3] *= 100
    code, _, err = run_cli(
        "decide", table(tmp_path / "s.csv", {"A": values, "B": plain(2)}), *AB,
        "--better", "higher", "--margin", "1",
    )  # fmt: skip
    assert code == 2
    assert "got replicate '3' of 'A' with a median of 8" in err
    assert "and '0' within 0 to 1 in" in err


def test_percents_ask_for_a_margin_in_their_unit(tmp_path: Path) -> None:
    rows = [f"p{p},{r},{a:.2f} %,{b:.2f} %" for p in range(12) for r in range(5)
            for a, b in [(100 * plain(1)[p, r], 100 * plain(2)[p, r])]]  # fmt: skip
    scores = tmp_path / "s.csv"
    scores.write_text("patient,run,A,B\n" + "\n".join(rows))
    code, _, err = run_cli("decide", scores, *AB)
    assert code == 2
    assert "say --better higher or lower and --margin in their unit" in err
    code, _, err = run_cli("decide", scores, *AB, "--better", "higher", "--margin", "1")
    assert (code, "values are in per cent, and so is the margin" in err) == (0, True)


def test_lesions_are_asked_about_and_then_averaged(tmp_path: Path) -> None:
    a, b = plain(1, 24), plain(2, 24)
    rows = [f"p{p % 12},p{p % 12}_lesion{p // 12},{r},{a[p, r]},{b[p, r]}"
            for p in range(24) for r in range(5)]  # fmt: skip
    scores = tmp_path / "s.csv"
    scores.write_text("person,patient,run,A,B\n" + "\n".join(rows))
    code, _, err = run_cli("decide", scores, *AB, "--arms", "A,B")
    assert (code, "(24 names of perhaps 12 people)" in err) == (2, True)
    found = json.loads(
        run_cli("decide", scores, *AB, "--arms", "A, B", "--cluster", "person", "--json")[1]
    )
    means = [(b - a)[[p, p + 12]].mean() for p in range(12)]
    shown = dict(zip(*(found["differences"][0][k] for k in ("patients", "patient_means")),
                     strict=True))  # fmt: skip
    assert [shown[f"p{p}"] for p in range(12)] == pytest.approx(means)


def test_unpaired_replicates_need_no_common_names(tmp_path: Path) -> None:
    rows = [f"p{p},{r + 5 * arm},{'AB'[arm]},{values[p, r]}" for arm, values in
            enumerate((plain(1), plain(2))) for p in range(12) for r in range(5)]  # fmt: skip
    scores = tmp_path / "s.csv"
    scores.write_text("patient,run,arm,value\n" + "\n".join(rows))
    assert "but got none for 'A' and 'B'" in run_cli("decide", scores, *AB)[2]
    code, out, _ = run_cli("decide", scores, *AB, "--unpaired", "--json")
    assert code == 0
    assert json.loads(out)["missing"]["count"] == 0
    assert json.loads(out)["missing"]["of"] == 120


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--value", "dice", "--value", "hd95"),
            "--margin must be given once for each --value, in",
        ),
        (("--value", "dice"), "--value must name a column of '"),
        (("--other-centres",), "need a column of centres, but got none in '"),
        (("--these-centres",), "name it with --centre COLUMN"),
    ],
)
def test_mistakes_at_the_keyboard(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    code, out, err = run_cli("decide", scores, *AB, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
