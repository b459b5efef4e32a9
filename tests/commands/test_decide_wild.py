"""Tables as supplements and colleagues have them: each is judged rightly, or refused in a sentence.

Numbers are made; means and intervals are expected from numpy and scipy alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.cli import run_cli
from factories.decide import AB, Cells
from scipy import stats

P, R = 12, 5
CENTRE = "ABC"


def arms(seed: int = 0, patients: int = P, runs: int = R, gain: float = 0.03) -> Cells:
    """Dice of A and B (2, patients, runs), to four places; B is better by about `gain`."""
    rng = np.random.default_rng(seed)
    patient = rng.normal(0.8, 0.03, (1, patients, 1)) + rng.normal(0, 0.004, (2, patients, 1))
    run = rng.normal(0, 0.003, (2, 1, runs))
    values = patient + run + rng.normal(0, 0.006, (2, patients, runs))
    return (values + np.array([0, gain])[:, None, None]).round(4)


X = arms()
D = X[1] - X[0]
ONCE = arms(1, runs=1)
HD95 = (10 + 100 * (0.85 - arms(2))).round(2)
"""Millimetres; B is lower by about 3."""


def name(p: int) -> str:
    return f"pt{p + 1:02d}"


def long(
    values: Cells = X,
    head: str = "patient,run,arm,value",
    row: Callable[[int, int, str, float], str] = lambda p, r, arm, v: (
        f"{name(p)},{r + 1},{arm},{v}"
    ),
) -> str:
    """A row for each value."""
    rows = [row(p, r, "AB"[a], float(v)) for (a, p, r), v in np.ndenumerate(values)]
    return "\n".join([head, *rows]) + "\n"


def wide(
    values: Cells = X,
    head: str = "patient,run,A,B",
    row: Callable[[int, int, float, float], str] = lambda p, r, a, b: f"{name(p)},{r + 1},{a},{b}",
) -> str:
    """A column for each arm."""
    rows = [
        row(p, r, float(values[0, p, r]), float(values[1, p, r]))
        for p, r in np.ndindex(values.shape[1:])
    ]
    return "\n".join([head, *rows]) + "\n"


def crossed(d: Cells) -> tuple[float, float]:
    """95 % interval of docs/statistics.md, steps 1 to 4."""
    patients, runs = d.shape
    rows, columns = d.mean(axis=1, keepdims=True), d.mean(axis=0, keepdims=True)
    of_patients = runs * rows.var(ddof=1)
    of_runs = patients * columns.var(ddof=1)
    rest = ((d - rows - columns + d.mean()) ** 2).sum() / ((patients - 1) * (runs - 1))
    total = max(of_patients + of_runs - rest, of_patients, of_runs)
    weight = of_patients / (of_patients + of_runs)
    if total > of_patients + of_runs - rest:
        weight = float(of_patients >= of_runs)
    t = [stats.t.ppf(0.975, df) for df in (patients - 1, runs - 1)]
    half = (weight * t[0] + (1 - weight) * t[1]) * np.sqrt(total / d.size)
    return d.mean() - half, d.mean() + half


def of_one_run(d: Cells) -> tuple[float, float]:
    """95 % interval of a mean over patients."""
    low, high = stats.t.interval(0.95, len(d) - 1, d.mean(), stats.sem(d))
    return float(low), float(high)


@dataclass(frozen=True)
class Judged:
    """What must come out: the word ("" for none), the mean difference and its 95 % interval."""

    word: str
    mean: float
    interval: tuple[float, float] | None = None
    says: Sequence[str] = ()


@dataclass(frozen=True)
class Refused:
    """How the sentence begins, and what it says further on."""

    start: str
    says: Sequence[str] = ()


HELPS = Judged("helps", D.mean(), crossed(D))


def comma(text: str) -> str:
    return text.replace(",", ";").replace(".", ",")


def nnunet(values: Cells = ONCE) -> str:
    """Per-case entries of summary.json, pasted."""
    head = "trainer,reference_file,prediction_file,Dice,FN,FP,IoU,TP"
    return long(
        values,
        head,
        lambda p, r, arm, v: (
            f"{arm},labelsTs/case_{p:03d}.nii.gz,{arm}/case_{p:03d}.nii.gz,{v},{p + 40},"
            f"{p + 31},{v / (2 - v):.4f},{900 + p}"
        ),
    )


OF_NNUNET = ("--patient", "reference_file", "--arm", "trainer", "--value", "Dice")
FOLDED = arms(3, 20, 1)
REPEATED = arms(4, 15, 5)
MANY = arms(5, 30, 5)
LARGE = arms(6, 30, 10)
SIDES = arms(7, 24)
"""Left, then right of twelve people."""
LESIONS = [1 + p % 3 for p in range(P)]
"""How many of each person."""
PARTS = arms(8, sum(LESIONS))
OF_PART = np.repeat(np.arange(P), LESIONS)
BY_PERSON = np.array([(PARTS[1] - PARTS[0])[p == OF_PART].mean(axis=0) for p in range(P)])
BY_CENTRE = (MANY[1] - MANY[0]).reshape(10, 3, 5).mean(axis=1)
SIDE_MEANS = (SIDES[1] - SIDES[0]).reshape(2, P, R).mean(axis=0)


def within_folds(d: Cells, folds: int) -> tuple[float, float]:
    """95 % interval of the mean, patients about the mean of their fold (patient p in p % folds)."""
    rest = np.concatenate([d[f::folds] - d[f::folds].mean() for f in range(folds)])
    df = len(d) - folds
    half = stats.t.ppf(0.975, df) * np.sqrt((rest**2).sum() / df / len(d))
    return d.mean() - half, d.mean() + half


def with_holes(d: Cells, holes: Sequence[tuple[int, int]]) -> float:
    """Mean with the cells that lack at the least-squares fit of patient + run."""
    there = np.ones(d.shape, bool)
    there[tuple(np.transpose(holes))] = False
    p, r = np.nonzero(there)
    design = np.zeros((len(p), d.shape[0] + d.shape[1]))
    design[np.arange(len(p)), p] = design[np.arange(len(p)), d.shape[0] + r] = 1
    fit = np.linalg.lstsq(design, d[there], rcond=None)[0]
    full = fit[: d.shape[0], None] + fit[None, d.shape[0] :]
    return float(np.where(there, d, full).mean())


HOLES = [(2, 1), (5, 3), (7, 0)]


def lacking(mark: str) -> str:
    """Three cells of B written as `mark`."""
    return wide(row=lambda p, r, a, b: f"{name(p)},{r + 1},{a},{mark if (p, r) in HOLES else b}")


def of_lesions(p: int) -> int:
    """Number of a lesion within its person."""
    return int(p - np.flatnonzero(OF_PART[p] == OF_PART)[0])


def mean_rows(label: str, text: str = "", values: Cells = X) -> str:
    """With a row of means for each run below."""
    text = text or wide(values)
    return text + "".join(
        f"{label},{r + 1},{a:.4f},{b:.4f}\n"
        for r, (a, b) in enumerate(zip(*values.mean(axis=1), strict=True))
    )


NO_PATIENT = "scores must be a CSV with the columns patient, replicate, arm, value; but got "
PERSON = "a patient must be a person, but got "
BETTER = ("--better", "higher", "--margin", "1")
MISSES = ("missing: 3 of 120 cells",)
Case = tuple[str, str | bytes, tuple[str, ...], Judged | Refused]

CASES: list[Case] = [
    (
        "cases of nnU-Net's summary",
        nnunet(),
        OF_NNUNET,
        Judged("", (ONCE[1] - ONCE[0]).mean(), of_one_run((ONCE[1] - ONCE[0])[:, 0])),
    ),
    (
        "the mean of nnU-Net's summary among its cases",
        nnunet() + "A,foreground_mean,,0.8,1,1,0.7,1\nB,foreground_mean,,0.8,1,1,0.7,1\n",
        OF_NNUNET,
        Refused(PERSON + "'foreground_mean'"),
    ),
    ("long", long(), (), HELPS),
    ("a column for each arm", wide(), (), HELPS),
    (
        "a column for each measure",
        long(
            HD95,
            "patient,run,arm,dice,hd95",
            lambda p, r, arm, v: f"{name(p)},{r + 1},{arm},{X['AB'.index(arm), p, r]},{v}",
        ),
        ("--value", "hd95", "--better", "lower", "--margin", "1"),
        Judged("helps", (HD95[1] - HD95[0]).mean(), crossed(HD95[1] - HD95[0])),
    ),
    (
        "a column for each measure of each arm",
        wide(
            head="patient,run,A dice,A hd95,B dice,B hd95",
            row=lambda p, r, a, b: f"{name(p)},{r},{a},{HD95[0, p, r]},{b},{HD95[1, p, r]}",
        ),
        (),
        Refused("a table without the columns arm and value must have a column for each arm"),
    ),
    (
        "a row for each measure",
        long(
            head="patient,run,arm,metric,value",
            row=lambda p, r, arm, v: (
                f"{name(p)},{r},{arm},dice,{v}\n"
                f"{name(p)},{r},{arm},hd95,{HD95['AB'.index(arm), p, r]}"
            ),
        ),
        (),
        Refused("each patient, replicate and arm must have one row, but got rows 2 and 3 of"),
    ),
    (
        "one training for each fold",
        wide(FOLDED, "patient,fold,A,B", lambda p, _, a, b: f"{name(p)},{p % 5},{a},{b}"),
        (),
        Judged(
            "",
            (FOLDED[1] - FOLDED[0]).mean(),
            within_folds((FOLDED[1] - FOLDED[0])[:, 0], 5),
            ["5 trainings of each arm"],
        ),
    ),
    (
        "folds, repeated five times",
        wide(
            REPEATED,
            "patient,fold,repeat,A,B",
            lambda p, r, a, b: f"{name(p)},{p % 5},{r},{a},{b}",
        ),
        ("--replicate", "repeat"),
        Judged("helps", (REPEATED[1] - REPEATED[0]).mean(), crossed(REPEATED[1] - REPEATED[0])),
    ),
    (
        "folds, drawn anew in each repeat",
        wide(
            REPEATED,
            "patient,fold,repeat,A,B",
            lambda p, r, a, b: f"{name(p)},{(p + r) % 5},{r},{a},{b}",
        ),
        ("--replicate", "repeat"),
        Refused("each patient must have one fold, but got '0' in row 2 and '1' in row 3"),
    ),
    (
        "three centres",
        wide(
            MANY,
            "patient,centre,run,A,B",
            lambda p, r, a, b: f"{name(p)},{CENTRE[p % 3]},{r},{a},{b}",
        ),
        (),
        Judged("helps", (MANY[1] - MANY[0]).mean(), None, ["of these 3 centres in this mixture"]),
    ),
    (
        "ten centres",
        wide(MANY, "patient,center,run,A,B", lambda p, r, a, b: f"{name(p)},c{p // 3},{r},{a},{b}"),
        (),
        Judged("helps", BY_CENTRE.mean(), crossed(BY_CENTRE), ["for centres like these 10"]),
    ),
    (
        "per cent",
        wide(row=lambda p, r, a, b: f"{name(p)},{r},{100 * a:.2f} %,{100 * b:.2f}%"),
        BETTER,
        Judged("helps", 100 * D.mean(), tuple(100 * np.array(crossed(D))), ["are in per cent"]),
    ),
    (
        "per cent, without a margin",
        wide(row=lambda p, r, a, b: f"{name(p)},{r},{100 * a:.2f} %,{100 * b:.2f}%"),
        (),
        Refused("values must lie in 0 to 1 unless --better and --margin are given"),
    ),
    ("decimal commas and semicolons", comma(wide()), (), HELPS),
    ("tabs", wide().replace(",", "\t"), (), HELPS),
    ("sep= before the header", "sep=;\n" + wide().replace(",", ";"), (), HELPS),
    (
        "comments",
        "# Supplementary table 3\n# Dice, test set\n" + wide() + "# B: two trainings restarted\n",
        (),
        HELPS,
    ),
    (
        "an index by pandas",
        wide(head=",patient,run,A,B", row=lambda p, r, a, b: f"{p * R + r},{name(p)},{r},{a},{b}"),
        (),
        HELPS,
    ),
    ("a byte order mark", b"\xef\xbb\xbf" + wide().encode(), (), HELPS),
    ("lines as Windows ends them", wide().replace("\n", "\r\n"), (), HELPS),
    ("UTF-16, as Excel writes text", wide().encode("utf-16"), (), Refused(NO_PATIENT)),
    (
        "quoted names",
        wide(row=lambda p, r, a, b: f'"Doe {chr(65 + p)}, J.","{r}","{a}","{b}"'),
        (),
        HELPS,
    ),
    (
        "names beyond ASCII",
        wide(row=lambda p, r, a, b: f"Jürgen Ångström-Łoś 患者{chr(0x3B1 + p)},{r},{a},{b}"),
        (),
        HELPS,
    ),
    (
        "one name in two ways of writing ü",
        long(
            row=lambda p, r, arm, v: (
                f"{unicodedata.normalize('NFC' if arm == 'A' else 'NFD', 'Müller')} "
                f"{chr(65 + p)},{r},{arm},{v}"
            )
        ),
        (),
        HELPS,
    ),
    *(
        (f"patients are called {word}", wide(head=f"{word},run,A,B"), ("--patient", word), HELPS)
        for word in ("Case", "Subject", "ID")
    ),
    (
        "patients are file names",
        wide(head="Filename,run,A,B", row=lambda p, r, a, b: f"case_{p:03}.nii.gz,{r},{a},{b}"),
        ("--patient", "filename"),
        HELPS,
    ),
    (
        "patients are called ID, and nobody says so",
        wide(head="ID,run,A,B"),
        (),
        Refused(NO_PATIENT, ["no 'patient'; add it, or name it with --patient COLUMN"]),
    ),
    (
        "left and right",
        wide(
            SIDES,
            "patient,structure,run,A,B",
            lambda p, r, a, b: f"{name(p % P)},parotid_{['left', 'right'][p // P]},{r},{a},{b}",
        ),
        ("--cluster", "structure", "--arms", "A,B"),
        Judged("helps", SIDE_MEANS.mean(), crossed(SIDE_MEANS)),
    ),
    (
        "left and right, and nobody says so",
        long(
            SIDES,
            "patient,structure,run,arm,value",
            lambda p, r, arm, v: f"{name(p % P)},parotid_{['left', 'right'][p // P]},{r},{arm},{v}",
        ),
        (),
        Refused("each patient, replicate and arm must have one row", ["with --cluster"]),
    ),
    (
        "lesions, numbered anew in each patient",
        wide(
            PARTS,
            "patient,lesion,run,A,B",
            lambda p, r, a, b: f"{name(OF_PART[p])},{of_lesions(p)},{r},{a},{b}",
        ),
        ("--cluster", "lesion", "--arms", "A,B"),
        Judged("helps", BY_PERSON.mean(), crossed(BY_PERSON)),
    ),
    (
        "lesions as files",
        wide(
            PARTS,
            row=lambda p, r, a, b: f"{name(OF_PART[p])}_lesion{of_lesions(p)}.nii.gz,{r},{a},{b}",
        ),
        (),
        Refused(PERSON + "names like those of parts"),
    ),
    (
        "means with their spread",
        "Method,Dice,HD95\nA,0.83 ± 0.04,5.1 ± 2.0\nB,0.86 ± 0.03,4.2 ± 1.8\n",
        (),
        Refused(NO_PATIENT, ["no 'patient'"]),
    ),
    (
        "means with their spread, of data sets",
        "dataset,A,B\nPDDCA,0.83 ± 0.04,0.86 ± 0.03\nOpenKBP,0.81 ± 0.05,0.83 ± 0.04\n",
        ("--patient", "dataset", "--arms", "A,B"),
        Refused("a value must be a number", ["a mean with its spread is no patient's"]),
    ),
    *(
        (f"a row of means, {label}", mean_rows(label), (), Refused(PERSON + f"'{label}'"))
        for label in ("Mean", "Average", "AVG", "Std", "Mean (SD)", "Mittelwert")
    ),
    (
        "a row of means and their spread",
        wide() + "Mean ± SD,1,0.80 ± 0.03,0.83 ± 0.03\n",
        (),
        Refused("a value must be a number (or empty where there is none), but got '0.80 ± 0.03'"),
    ),
    (
        "a row of means beside parts",
        wide(
            SIDES,
            "patient,cluster,run,A,B",
            lambda p, r, a, b: f"{name(p % P)},{'LR'[p // P]},{r},{a},{b}",
        )
        + "".join(f"Mean,{side},{r},0.8,0.83\n" for side in "LR" for r in range(R)),
        (),
        Refused(PERSON + "'Mean'"),
    ),
    (
        "a header of two rows",
        wide(
            head="patient,run,A,,B,\n,,Dice,HD95,Dice,HD95",
            row=lambda p, r, a, b: f"{name(p)},{r},{a},{HD95[0, p, r]},{b},{HD95[1, p, r]}",
        ),
        (),
        Refused("each row must have 5 fields as the header has", ["a header of two rows as one"]),
    ),
    (
        "a header of two rows, names in the second",
        wide(
            head=",,A,,B,\npatient,run,Dice,HD95,Dice,HD95",
            row=lambda p, r, a, b: f"{name(p)},{r},{a},{HD95[0, p, r]},{b},{HD95[1, p, r]}",
        ),
        (),
        Refused("each row must have 5 fields as the header has", ["a header of two rows as one"]),
    ),
    *(
        (
            f"the {label} of the runs among them",
            wide() + "".join(f"{name(p)},{label},0.8,0.84\n" for p in range(P)),
            (),
            Refused(f"a replicate must be one training, but got '{label}' in row 62 of"),
        )
        for label in ("mean", "ensemble")
    ),
    (
        "a title above",
        "Table S3. Dice of all patients\n" + wide(),
        (),
        Refused("each row must have 1 field", ["begin a title above the header with #"]),
    ),
    (
        "a note below",
        wide() + "* restarted once\n",
        (),
        Refused("each row must have 4 fields", ["or begin it with # if it is a note"]),
    ),
    (
        "a column of means beside the arms",
        wide(
            head="patient,run,A,B,mean",
            row=lambda p, r, a, b: f"{name(p)},{r},{a},{b},{a / 2 + b / 2}",
        ),
        (),
        Judged("helps", D.mean(), crossed(D), ["of an arm that no comparison names: mean"]),
    ),
    *(
        (
            f"cells that lack as '{mark}'",
            lacking(mark),
            (),
            Judged("helps", with_holes(D, HOLES), None, MISSES),
        )
        for mark in ("", "NA", "nan", "-", "\N{EN DASH}", "n/a")
    ),
    (
        "one cell of 300 lacks",
        wide(LARGE, row=lambda p, r, a, b: f"{name(p)},{r},{a},{'' if (p, r) == (4, 7) else b}"),
        (),
        Judged("helps", with_holes(LARGE[1] - LARGE[0], [(4, 7)]), None, ["missing: 1 of 600"]),
    ),
    (
        "rows that are there twice",
        wide() + "\n".join(wide().splitlines()[-3:]),
        (),
        Refused("each patient, replicate and arm must have one row, but got rows 59 and 62"),
    ),
    (
        "replicates are seeds",
        wide(head="patient,seed,A,B", row=lambda p, r, a, b: f"{name(p)},{1234 + 7 * r},{a},{b}"),
        ("--replicate", "seed"),
        HELPS,
    ),
    (
        "replicates are seeds, and nobody says so",
        wide(head="patient,seed,A,B", row=lambda p, r, a, b: f"{name(p)},{1234 + 7 * r},{a},{b}"),
        (),
        Refused("a table without the columns arm and value", ["'seed' (whole numbers)"]),
    ),
    (
        "a file for each run",
        wide(head="patient,file,A,B", row=lambda p, r, a, b: f"{name(p)},run_{r}.csv,{a},{b}"),
        ("--replicate", "file"),
        HELPS,
    ),
    (
        "one of the files",
        wide(ONCE, "patient,A,B", lambda p, _, a, b: f"{name(p)},{a},{b}"),
        (),
        Judged("", (ONCE[1] - ONCE[0]).mean(), of_one_run((ONCE[1] - ONCE[0])[:, 0])),
    ),
    (
        "HD95 of an empty prediction",
        wide(HD95).replace(str(HD95[1, 3, 2]), "inf"),
        ("--better", "lower", "--margin", "1"),
        Refused("a value must be finite, but got 'inf'", ["a failed segmentation"]),
    ),
    (
        "one arm in per cent, without the sign",
        wide(row=lambda p, r, a, b: f"{name(p)},{r},{a},{100 * b:.2f}"),
        (*BETTER, "--arms", "A,B"),
        Refused("values must be on one scale per file, but got 'A' within 0 to 1 and 'B'"),
    ),
    (
        "some patients in per cent, without the sign",
        wide(row=lambda p, r, a, b: f"{name(p)},{r},{a * 100 ** (p > 8):g},{b * 100 ** (p > 8):g}"),
        (),
        Refused("values must lie in 0 to 1 unless", ["30 values outside"]),
    ),
    (
        "some patients in per cent, said to be another measure",
        wide(row=lambda p, r, a, b: f"{name(p)},{r},{a * 100 ** (p > 8):g},{b * 100 ** (p > 8):g}"),
        BETTER,
        Refused("values must be on one scale per file"),
    ),
    (
        "an arm that was trained once, copied",
        wide(row=lambda p, r, _, b: f"{name(p)},{r},{X[0, p, 0]},{b}"),
        (),
        Refused("each replicate must be a training of its own, but got an arm that was trained"),
    ),
    (
        "an arm that was trained once",
        wide(row=lambda p, r, a, b: f"{name(p)},{r},{'' if r else a},{b}"),
        (),
        Judged("", D[:, 0].mean(), None, ["48 of 60 lack"]),
    ),
    (
        "runs that have nothing to do with each other",
        long(row=lambda p, r, arm, v: f"{name(p)},{'s' * (arm == 'B')}{r},{arm},{v}"),
        ("--unpaired",),
        Judged("helps", X[1].mean() - X[0].mean(), None, ["5 and 5 unpaired replicates"]),
    ),
    (
        "runs that have nothing to do with each other, and nobody says so",
        long(row=lambda p, r, arm, v: f"{name(p)},{'s' * (arm == 'B')}{r},{arm},{v}"),
        (),
        Refused("a comparison needs a patient and replicate with a value in both", ["--unpaired"]),
    ),
]


@pytest.mark.parametrize(
    ("content", "options", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_table_of_the_wild(
    tmp_path: Path, content: str | bytes, options: tuple[str, ...], expected: Judged | Refused
) -> None:
    scores = tmp_path / "scores.csv"
    scores.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = run_cli("decide", scores, *AB, *options)
    if isinstance(expected, Refused):
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"error: {expected.start}")
        assert not [words for words in expected.says if words not in err]
        return
    assert code == 0, err
    assert not [words for words in expected.says if words not in out + err]
    found: dict[str, Any] = run_cli("decide", scores, *AB, *options, "--json").json
    (effect,) = found["effects"]
    assert effect["word"] == expected.word
    assert effect["mean"] == pytest.approx(expected.mean, rel=1e-9)
    if expected.interval is not None:
        assert effect["interval_95"] == pytest.approx(expected.interval, rel=1e-9)
