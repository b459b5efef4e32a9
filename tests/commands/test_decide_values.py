"""`harness decide` on values that are no Dice, ids that do not pair, streams that cannot print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from factories.cli import run_cli
from factories.decide import AB, vector, write

from harness.cli import main
from harness.commands.decide.checks import alike
from harness.inference.table import Cell, Table


@pytest.mark.parametrize(
    ("options", "lacking"),
    [
        ((), "say --better higher or lower and --margin in their unit"),
        (("--margin", "2"), "say --better higher or lower"),
        (("--better", "lower"), "say --margin in their unit"),
    ],
)
def test_values_that_are_no_dice_need_a_direction_and_a_margin(
    tmp_path: Path, options: tuple[str, ...], lacking: str
) -> None:
    scores = write(tmp_path / "scores.csv", {"B": 100 * vector()}, base=3.0)
    code, out, err = run_cli("decide", scores, *AB, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "but got 100 values outside in" in err
    assert "the first 3 (patient 'pt_0', replicate '0', arm 'A')" in err
    assert err.endswith(f"the values are no Dice: {lacking}\n")
    assert list(tmp_path.iterdir()) == [scores]


def test_a_slip_of_one_value_is_named(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()}, skip=[(3, 2, "B")])
    with open(scores, "a", encoding="utf-8") as file:
        file.write("pt_3,2,B,73\n")
    code, _, err = run_cli("decide", scores, *AB)
    assert code == 2
    assert "1 value outside in" in err
    assert "the first 73 (patient 'pt_3', replicate '2', arm 'B')" in err
    _, _, err = run_cli("decide", scores, *AB, "--better", "higher", "--margin", "0.01")
    assert "warning: 1 value lies outside 0 to 1" in err


def test_lower_is_better_exchanges_the_words_and_nothing_else(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": 100 * vector(), "C": -vector()}, base=3.0)
    options = (scores, *AB, "--margin", "2", "--secondary", "A:C")
    higher = json.loads(run_cli("decide", *options, "--better", "higher", "--json")[1])
    lower = json.loads(run_cli("decide", *options, "--better", "lower", "--json")[1])
    assert (higher["better"], lower["better"]) == ("higher", "lower")
    pairs = list(zip(higher["effects"], lower["effects"], strict=True))
    assert [(one["word"], other["word"]) for one, other in pairs] == [
        ("helps", "harms"),
        ("harms, by less than the margin", "helps, by less than the margin"),
    ]
    for one, other in pairs:
        assert {**one, "word": "", "sentence": ""} == {**other, "word": "", "sentence": ""}
    assert lower["verdict"].startswith(
        "B against A (lower is better): harms; mean difference in value +1.27"
    )
    assert "better" not in higher["verdict"]


def test_the_worst_patient_is_the_one_with_the_highest_distance(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": 100 * vector()}, base=3.0)
    means = (100 * vector()).mean(axis=1)
    for better, worst in (("higher", int(means.argmin())), ("lower", int(means.argmax()))):
        svg = tmp_path / f"{better}.svg"
        _, out, _ = run_cli("decide", scores, *AB, "--margin", "2", "--better", better, "-o", svg)
        assert f"worst patient: pt_{worst} (" in out
        text = svg.read_text()
        assert [n for n in range(10) if f">pt_{n}<" in text] == [worst]
        assert ("lower is better; grey: within 2" in text) == (better == "lower")


def test_a_dice_that_is_better_lower_may_be_said_too(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    assert json.loads(run_cli("decide", scores, *AB, "--json")[1])["better"] == "higher"
    _, out, err = run_cli("decide", scores, *AB, "--better", "lower")
    assert out.startswith("B against A (lower is better): harms;")
    assert "warning" not in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--better", "up"), "--better must be higher or lower, but got 'up';"),
        (("--margin", "1"), "must be below 1 where all values lie in 0 to 1, but got 1 for"),
        (("--margin", "2", "--better", "higher"), "in 0 to 1, but got 2 for"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    code, out, err = run_cli(
        "decide", write(tmp_path / "scores.csv", {"B": vector()}), *AB, *options
    )
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_one_arm_in_percent_is_refused(tmp_path: Path) -> None:
    percent = np.full((10, 5), 70.0) + vector()
    scores = write(tmp_path / "scores.csv", {"B": percent, "C": vector()})
    said = "one scale per file, but got 'A' within 0 to 1 and 'B' with a median of 70."
    for more in ((), ("--better", "higher", "--margin", "1")):
        code, _, err = run_cli("decide", scores, *AB, *more)
        assert (code, said in err) == (2, True)
    code, _, err = run_cli("decide", scores, "--baseline", "A", "--candidate", "C")
    assert (code, "values are no Dice" in err) == (2, True)  # the file's measure is in doubt


def test_ids_that_never_pair_are_refused(tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    rows = [f"{'p' if arm == 'A' else 'P'}{p},{r},{arm},0.5" for p in range(10) for r in range(5)
            for arm in "AB"]  # fmt: skip
    scores.write_text("patient,run,arm,value\n" + "\n".join(rows))
    code, out, err = run_cli("decide", scores, *AB)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "but got none for 'A' and 'B'" in err
    assert "(patients 'P0' and 'p0' may be one person; write them alike)" in err


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (("007", "0"), ("7", "0"), "patients '007' and '7' may be one person"),
        (("P000", "0"), ("p000", "0"), "patients 'P000' and 'p000' may be one person"),
        (("p01", "0"), ("p1", "0"), "patients 'p01' and 'p1' may be one person"),
        (("p", "000"), ("p", "0"), "replicates '0' and '000' may be one replicate"),
        (("p", "0.0"), ("p", "0"), "replicates '0' and '0.0' may be one replicate"),
    ],
)
def test_a_pair_of_ids_that_are_written_differently_is_named(
    tmp_path: Path, one: tuple[str, str], other: tuple[str, str], said: str
) -> None:
    scores = tmp_path / "scores.csv"
    pairs = [(*one, "A"), (*other, "B"), ("q", "9", "A"), ("q", "9", "B")]
    scores.write_text(
        "patient,run,arm,value\n" + "".join(f"{p},{r},{arm},0.5\n" for p, r, arm in pairs)
    )
    code, out, err = run_cli("decide", scores, *AB)
    assert code == 0
    assert f"warning: {said}; write them alike\n" in err
    assert "failures:" not in out
    found = json.loads(run_cli("decide", scores, *AB, "--json")[1])
    assert any(said in note for note in found["notes"])
    assert found["failure_rate_left_open"] is None


def test_other_ids_are_other_people() -> None:
    long = [str(10**20 + last) for last in (1, 2)]  # equal as floating-point numbers
    names = ("p1", "p10", "p100", "1", "10", "p001a", "nan", "1_0", *long)
    assert alike(Table(Cell(name, 0, "A", 0.5) for name in names)) == []


def test_a_table_without_holes_has_no_such_note(tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    rows = "".join(f"{p},0,{arm},0.5\n" for p in ("7", "007") for arm in "AB")
    scores.write_text("patient,run,arm,value\n" + rows)
    assert "may be" not in run_cli("decide", scores, *AB)[2]


def test_a_large_table_of_cells_is_said_to_be_elsewhere(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector(2, 30)})
    out = run_cli("decide", scores, *AB)[1]
    assert ", and 10 more (--json has them all)\n" in out
    assert "differences: 2 patients x 30 replicates, too many to print (--json has them all)" in out


def test_one_missing_cell_lacks(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector(10, 6)}, skip=[(0, 0, "B")])
    out = run_cli("decide", scores, *AB)[1]
    assert "helps; mean difference" in out
    assert "missing: 1 of 120 cells (A 0, B 1): patient pt_0, replicate 0, arm B" in out
    assert "  1 difference filled in by the additive fit: sound where they lack" in out
    assert "(10 test patients, 6 replicates, 1 of 60 differences filled in, given" in out
    assert ". With the worst difference seen in place of those that lack the word stays." in out


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_small_encoding_keeps_the_sign(tmp_path: Path, encoding: str) -> None:
    scores = write(tmp_path / "scores.csv", {"B": -vector(), "Ж": vector()})
    said = process(f'decide {scores} --baseline A --candidate B --secondary "A:Ж"', encoding)
    assert (said.returncode, said.stderr.count(b"Traceback")) == (0, 0)
    assert b"95 % interval        -0.0244 to -0.0010" in said.stdout
    assert b"? against A: helps, by" not in said.stdout
    assert b"? against A: " in said.stdout


@pytest.mark.parametrize(
    ("closed", "more"), [(">&-", ""), (">&-", " --json"), (">&- 2>&- <&-", "")]
)
def test_closed_streams_are_no_fault(tmp_path: Path, closed: str, more: str) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    figure = tmp_path / "figure.png"
    said = process(f"decide {scores} --baseline A -o {figure}{more} {closed}")
    assert (said.returncode, said.stderr.count(b"Traceback")) == (0, 0)
    assert figure.exists()


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_a_mistake_is_one_where_streams_are_closed(tmp_path: Path, closed: str) -> None:
    scores = write(tmp_path / "scores.csv", {"B": vector()})
    assert process(f"decide {scores} --baseline Q {closed}").returncode == 2


def process(words: str, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = f"{sys.executable} -m {main.__module__.partition('.')[0]} {words}"
    return subprocess.run(["sh", "-c", command], capture_output=True, env=environment, check=False)
