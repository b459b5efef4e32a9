"""Several candidates and looks, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories.cli import run_cli
from factories.decide import vector, write


def test_two_candidates_are_adjusted_for_both(tmp_path: Path) -> None:
    d = vector()
    scores = write(tmp_path / "scores.csv", {"B": d, "C": 0.5 * d})
    named = ("--baseline", "A", "--candidate", "B", "--candidate", "C")
    code, out, err = run_cli("decide", scores, *named, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)["effects"]
    assert [(e["candidate"], e["primary"], e["comparisons"]) for e in found] == [
        ("B", True, 2),
        ("C", True, 2),
    ]
    assert found[0]["p_adjusted"] == pytest.approx(2 * 0.0382412, abs=2e-7)
    assert [e["word"] for e in found] == ["undecided", "undecided"]
    out = run_cli("decide", scores, *named)[1]
    assert "B against A: undecided" in out
    assert "C against A: undecided" in out
    assert "two families" not in out, "there is one"
    alone = run_cli("decide", scores, "--baseline", "A", "--candidate", "B")[1]
    assert "B against A: helps;" in alone


def test_what_was_looked_at_before_counts(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    code, out, _ = run_cli("decide", scores, "--baseline", "A", "--looked-at", "1")
    assert code == 0
    assert "95 % interval adjusted for 2 comparisons" in out
    assert "undecided" in out


def test_a_look_as_declared(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    code, out, _ = run_cli("decide", scores, "--baseline", "A", "--looks", "5,8,10")
    assert code == 0
    assert "train on to 8 replicates" in out
    assert "look 1 of 3, at 5 of 10 replicates" in out
    assert "  at this look's 99.44 %  \N{MINUS SIGN}0.0086 to +0.0340" in out


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            ("--looks", "5;8"),
            "--looks must be numbers with commas between them, but got '5;8'; name e.g. 5,8,10",
        ),
        (
            ("--looks", "8,10"),
            "a table is looked at when it has 8, 10 replicates, as declared, but got 5; train on "
            "to the next look",
        ),
        (
            ("--looked-at", "-1"),
            "--looked-at must be 0 or more, but got -1; it is how many other candidates were "
            "looked at on these patients before",
        ),
        (
            ("--candidate", "B", "--candidate", "B"),
            "each pair of arms is compared once, but got 'A:B' again; leave --candidate B out",
        ),
        (
            ("--candidate", "A"),
            "a comparison needs two arms, but got 'A' twice; name another one",
        ),
    ],
)
def test_mistakes(tmp_path: Path, typed: tuple[str, ...], said: str) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    code, out, err = run_cli("decide", scores, "--baseline", "A", *typed)
    assert (code, out) == (2, "")
    assert said in err
