"""`harness decide` as typed: the published vector, what a design allows, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from factories.cli import run_cli
from factories.decide import AB, vector, write
from PIL import Image


def test_the_published_vector_to_every_digit(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    code, out, err = run_cli("decide", scores, *AB, "--json")
    assert (code, "warning" in err) == (0, False)
    found = json.loads(out)
    (effect,) = found["effects"]
    for name, digits in {
        "mean": "0.01272",
        "p": "0.0382412",
        "sd_patient": "0.00938131",
        "sd_replicate": "0.00771694",
        "sd_residual": "0.00328769",
    }.items():
        assert f"{effect[name]:.6g}" == digits
    assert [f"{end:.6g}" for end in effect["interval_95"]] == ["0.00102212", "0.0244179"]
    assert [f"{end:.6g}" for end in effect["interval_90"]] == ["0.00355039", "0.0218896"]
    assert effect["word"] == "helps"
    assert found["verdict"].startswith("B against A: helps; mean difference in value +0.0127")
    assert found["failure_rate_left_open"] == pytest.approx(0.4507, abs=1e-4)  # 1 - 0.05^(1/5)
    assert found["missing"]["count"] == 0


def test_the_other_direction_turns_every_sign(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    there = json.loads(run_cli("decide", scores, *AB, "--json")[1])["effects"][0]
    back = json.loads(run_cli("decide", scores, "--baseline", "B", "--json")[1])["effects"][0]
    assert (back["baseline"], back["candidate"], back["word"]) == ("B", "A", "harms")
    assert back["mean"] == pytest.approx(-there["mean"])
    assert back["interval_95"] == pytest.approx([-end for end in reversed(there["interval_95"])])


def test_what_people_read(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    figure = tmp_path / "figure.png"
    code, out, err = run_cli("decide", scores, *AB, "-o", figure)
    assert code == 0
    for said in (
        "B against A: helps;",
        "95 % interval        +0.0010 to +0.0244",
        "90 % interval        +0.0036 to +0.0219",
        "p, two-sided         0.038",
        "over patients 0.0094, over replicates 0.0077, residual 0.0033",
        "with 10 patients and 5 replicates a difference of 0.0157 is seen with 80 % power",
        "and is out of reach by patients alone",
        '"no useful effect" (within 0.01) is out of reach of this design',
        "5 clean replicates leave a failure rate up to 45 % open",
        "scope: given this training cohort",
        "worst patient: pt_6 (+0.001)",
    ):
        assert said in out
    assert f"figure: {figure}" in err
    with Image.open(figure) as picture:
        assert picture.width > picture.height > 300
    assert "figure" not in run_cli("decide", scores, *AB, "-o", figure, "--quiet")[2]


def test_nothing_is_written_unasked(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    code, out, err = run_cli("decide", scores, *AB, "--json")
    assert (code, json.loads(out)["figure"], err) == (0, None, "")
    assert list(tmp_path.iterdir()) == [scores]


def test_an_svg_where_it_is_asked_for(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    assert run_cli("decide", scores, *AB, "-o", tmp_path / "new" / "it.svg")[0] == 0
    text = (tmp_path / "new" / "it.svg").read_text()
    assert "value (grey: within 0.01)" in text
    assert ">B against A: helps<" in text
    assert "Dice" not in text  # the file does not say what was measured


def test_a_pilot_has_no_p_and_no_verdict(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector(9, 4) + 0.1})
    code, out, _ = run_cli("decide", scores, *AB)
    assert code == 0
    first = out.splitlines()[0]
    assert "95 % interval" in first
    assert "No verdict: a verdict needs at least 10 patients and 5 replicates, but got 9" in first
    assert "two-sided" not in out
    assert "helps" not in out
    effect = json.loads(run_cli("decide", scores, *AB, "--json")[1])["effects"][0]
    assert (effect["p"], effect["p_adjusted"], effect["word"]) == (None, None, "")


def test_cells_alone_are_shown(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": np.array([[0.1, 0.2], [-0.3, 0.05]])})
    code, out, _ = run_cli("decide", scores, *AB)
    assert code == 0
    assert "no interval and no verdict; an interval needs at least 5 patients" in out
    assert "  pt_0      +0.100   +0.200\n" in out
    assert "  pt_1      \u22120.300   +0.050\n" in out
    assert "interval  " not in out
    assert "sd" not in out


def test_one_constant_difference_has_no_spread(tmp_path: Path) -> None:
    """0.7 + 0.1 - 0.7 is not 0.71 + 0.1 - 0.71 to the last bit; that is rounding."""
    scores = write(tmp_path / "scores.csv", {"B": np.full((10, 5), 0.1)})
    code, out, _ = run_cli("decide", scores, *AB)
    assert code == 0
    assert "No verdict: all cells are equal" in out
    assert "helps" not in out


def test_too_many_missing_cells_are_named_and_refuse_the_interval(tmp_path: Path) -> None:
    holes = [(p, 2, "B") for p in range(7)]
    scores = write(tmp_path / "scores.csv", {"B": vector()}, skip=holes)
    with open(scores, "a", encoding="utf-8") as file:
        file.write("pt_0,2,B,\n")
    code, out, _ = run_cli("decide", scores, *AB)
    assert code == 0
    lacks = "7 of 50 lack and 1 replicate has fewer"
    assert f"an interval needs half of the patients in each replicate, but {lacks}" in out
    assert "missing: 7 of 100 cells (A 0, B 7): patient pt_0, replicate 2, arm B;" in out
    assert out.count("replicate 2, arm B") == 5
    assert "helps" not in out
    found = json.loads(run_cli("decide", scores, *AB, "--json")[1])
    assert found["missing"]["count"] == 7
    assert found["effects"][0]["interval_95"] is None
    assert found["differences"][0]["cells"][0][2] is None


def test_replicates_of_other_names_pair_nothing(tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    rows = [f"p{p},{r + 5 * (arm == 'B')},{arm},0.{p}{r}" for p in range(10) for r in range(5)
            for arm in "AB"]  # fmt: skip
    scores.write_text("patient,run,arm,value\n" + "\n".join(rows))
    code, out, err = run_cli("decide", scores, *AB)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "a value in both arms, but got none for 'A' and 'B'" in err
    assert "give both arms the same ids (or say --unpaired if a replicate of one has" in err
    with open(scores, "a", encoding="utf-8") as file:
        file.write("\np0,0,B,0.5\n")
    code, out, _ = run_cli("decide", scores, *AB)
    assert code == 0
    assert "missing: 99 of 200 cells" in out
    assert "failures:" not in out


def test_the_secondaries_are_adjusted_for_their_number(tmp_path: Path) -> None:
    scores = write(tmp_path / "s.csv", {"B": vector(), "C": vector(), "x:y": vector() - 0.01})
    code, out, _ = run_cli(
        "decide", scores, *AB, "--secondary", "A:C", "--secondary", "A:x:y", "--json"
    )
    assert code == 0
    first, second, third = json.loads(out)["effects"]
    assert (first["p_adjusted"], third["candidate"]) == (None, "x:y")
    assert second["p_adjusted"] == pytest.approx(2 * first["p"])  # 0.076: two tests
    assert (first["word"], second["word"]) == ("helps", "undecided")
    shown = run_cli("decide", scores, *AB, "--secondary", "A:C", "--secondary", "A:x:y")[1]
    assert "two families of 5 %, so that a verdict is false in at most 10 %" in shown
    assert shown.count("95 % interval adjusted for 2 comparisons") == 2
    assert "p, two-sided         0.076" in shown


def test_rows_of_other_arms_are_counted_aloud(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector(), "C": vector()})
    _, _, err = run_cli("decide", scores, *AB)
    assert "warning: 50 rows of an arm that no comparison names: C; candidates that" in err


def test_another_unit_says_so(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": 100 * vector()}, base=3.0)
    code, out, err = run_cli("decide", scores, *AB, "--margin", "2", "--better", "higher")
    assert code == 0
    assert "values lie outside 0 to 1" in err
    assert "the margin of 2 is in the unit of the values" in err
    assert "helps" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--baseline and --candidate must name an arm, but got nothing; the file has A, B"),
        (("--baseline", "a", "--candidate", "B"), "but got 'a'; did you mean 'A'?"),
        (("--baseline", "A", "--candidate", "zzz"), "but got 'zzz'; name one of them"),
        (("--baseline", "B", "--candidate", "B"), "needs two arms, but got 'B' twice"),
        ((*AB, "--margin", "0"), "--margin must be a number above 0, but got 0;"),
        ((*AB, "--margin", "nan"), "--margin must be a number above 0, but got nan;"),
        ((*AB, "--margin", "inf"), "--margin must be a number above 0, but got inf;"),
        ((*AB, "--secondary", "AB"), "--secondary must be BASELINE:CANDIDATE, but got 'AB'"),
        ((*AB, "--secondary", "A:Q"), "--secondary must be one of the arms A, B, but got 'Q'"),
        ((*AB, "--secondary", "B:A"), "each pair of arms is compared once, but got 'B:A' again"),
        ((*AB, "--secondary", "A:A"), "needs two arms, but got 'A' twice"),
        ((*AB, "-o", "figure.pdf"), "--output must be a figure that ends in .png or .svg"),
    ],
)
def test_mistakes_at_the_keyboard(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    code, out, err = run_cli("decide", scores, *options)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [scores]


def test_three_arms_need_both_names(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector(), "C": vector()})
    code, _, err = run_cli("decide", scores, "--baseline", "A")
    assert code == 2
    assert "--candidate must name an arm, but got nothing; the file has A, B, C" in err


def test_one_arm_and_no_file(tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    scores.write_text("patient,run,arm,value\np,0,A,0.5\n")
    code, _, err = run_cli("decide", scores, *AB)
    assert (code, "a comparison needs two arms, but got only 'A'" in err) == (2, True)
    code, out, _ = run_cli("decide", tmp_path / "none.csv", *AB, "--json")
    assert code == 2
    assert json.loads(out)["error"]["kind"] == "ConfigError"


def test_a_figure_that_cannot_be_written(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    code, _, err = run_cli("decide", scores, *AB, "-o", scores / "figure.png")
    assert code == 2
    assert "--output must be a figure that can be written" in err
