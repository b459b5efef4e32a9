"""Tables of scores as people have them: what is read of each, or the sentence that is said."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.base.errors import ConfigError, DataError, UserError
from harness.inference.layout import Layout
from harness.inference.people import PART
from harness.inference.score_columns import Columns
from harness.inference.scores_file import ScoresFile, read_scores_file

TWO = [("p1", 1, "A", 0.5), ("p1", 1, "B", 0.7), ("p2", 1, "A", 0.25), ("p2", 1, "B", 0.75)]
"""What most of the tables say."""
ONE_RUN = "no column of replicates: all values are those of one run"
ARMS = "each column of numbers is an arm: A, B"


def read(tmp_path: Path, content: str, **columns: object) -> ScoresFile:
    path = tmp_path / "scores.csv"
    path.write_text(content, encoding="utf-8", newline="")
    return read_scores_file(path, Columns(**columns))  # type: ignore[arg-type]


def cells(found: ScoresFile) -> list[tuple[object, ...]]:
    """Sorted, as a long and a wide table list them in different orders."""
    return sorted((c.patient, c.replicate, c.arm, c.value) for c in found.table.cells)


SAME_TABLE = {
    "long": ("patient,replicate,arm,value\np1,1,A,.5\np1,1,B,.7\np2,1,A,.25\np2,1,B,.75\n", ()),
    "run for replicate": (
        "arm,value,run,patient\nA,.5,1,p1\nB,.7,1,p1\nA,.25,1,p2\nB,.75,1,p2", ()),
    "an arm a column": ("patient,run,A,B\np1,1,.5,.7\np2,1,.25,.75\n", (ARMS,)),
    "a single run": (
        "patient,arm,value\np1,A,.5\np1,B,.7\np2,A,.25\np2,B,.75\n",
        (ONE_RUN,),
    ),
    "a single run, an arm a column": ("Patient,A,B\np1,.5,.7\np2,.25,.75\n", (ARMS, ONE_RUN)),
    "capitals and spaces": ("  PATIENT ; Run; A ;B\np1;1;0.5;0.7\np2 ;1;0.25; 0.75\n", (ARMS,)),
    "decimal commas": (
        "patient;run;A;B\np1;1;0,5;0,7\np2;1;0,25;0,75\n",
        (ARMS, "4 values have a decimal comma, read as such"),
    ),
    "Excel's separator": ("sep=;\r\npatient;run;A;B\r\np1;1;.5;.7\r\np2;1;.25;.75\r\n", (ARMS,)),
    "a quoted one": ('"sep=,"\npatient,run,A,B\np1,1,.5,.7\np2,1,.25,.75\n', (ARMS,)),
    "a separator of its own": ("sep=|\npatient|run|A|B\np1|1|.5|.7\np2|1|.25|.75\n", (ARMS,)),
    "comments": (
        "# Dice, made by us; 2 patients\n\n#,,,\npatient,run,A,B\np1,1,.5,.7\n# p3 withdrew\n"
        "#all done,,,,\np2,1,.25,.75\n",
        (ARMS, "4 comments (rows that begin with #) not read"),
    ),
    "pandas' index": (
        "Unnamed: 0,patient,run,A,B\n0,p1,1,.5,.7\n1,p2,1,.25,.75\n",
        ("a column that is not read: Unnamed: 0", ARMS),
    ),
    "a nameless index": (
        ",patient,run,A,B\n1,p1,1,.5,.7\n2,p2,1,.25,.75\n",
        ("a column that is not read: (no name)", ARMS),
    ),
    "Excel's trailing columns": ("patient,run,A,B,,\np1,1,.5,.7,,\np2,1,.25,.75,,\n,,,,,\n", (
        ARMS, "1 blank row between or after the values")),
    "an empty column": ("patient,run,sex,A,B\np1,1,,.5,.7\np2,1,,.25,.75\n", (
        "a column that is not read: sex", ARMS)),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME_TABLE)
def test_one_table_in_many_shapes(tmp_path: Path, name: str) -> None:
    content, notes = SAME_TABLE[name]
    found = read(tmp_path, content)
    assert cells(found) == TWO
    assert found.notes == notes
    assert found.table.layout == Layout()


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("ID,seed,method,dice,hd95\np1,1,A,.5,9\np1,1,B,.7,8\np2,1,A,.25,7\np2,1,B,.75,6\n",
         {"patient": "id", "replicate": "Seed", "arm": "method", "value": "DICE"}),
        ("patient,run,age,sex,A,B\np1,1,61,f,.5,.7\np2,1,70,m,.25,.75\n", {"arms": ("a", "B")}),
        ("patient,run,arm,value,A,B\np1,1,x,9,.5,.7\np2,1,x,9,.25,.75\n", {"arms": ("A", "B")}),
    ],
)  # fmt: skip
def test_columns_that_are_named(tmp_path: Path, content: str, columns: dict[str, object]) -> None:
    found = read(tmp_path, content, **columns)
    assert cells(found) == TWO
    assert [note.partition(":")[0] for note in found.notes] in (
        ["a column that is not read"],
        ["columns that are not read"],
    )


def test_values_in_per_cent_stay_so_and_are_noted(tmp_path: Path) -> None:
    found = read(tmp_path, "patient;run;A;B\np1;1;83,1 %;84.5%\np2;1;;90\u00a0%\n")
    assert [c.value for c in found.table.cells] == pytest.approx(
        [83.1, 84.5, math.nan, 90], nan_ok=True
    )
    assert "values are in per cent, and so is the margin" in found.notes


def test_a_patient_whose_name_begins_with_a_hash_is_no_comment(tmp_path: Path) -> None:
    found = read(tmp_path, "patient,run,A,B\n#1,1,.5,.7,,\n#2,1,,.75\n")
    assert found.table.patients == ("#1", "#2")
    assert len(found.table.cells) == 4


def test_centre_fold_and_cohort_are_the_tables_layout(tmp_path: Path) -> None:
    rows = "".join(
        f"p{p},{r},{arm},.{p}{r}5,{'XY'[p % 2]},{p % 3},c{r // 2}\n"
        for p in range(6) for r in range(4) for arm in "AB"
    )  # fmt: skip
    found = read(tmp_path, "patient,run,arm,value,Center,FOLD,cohort\n" + rows)
    assert found.table.layout == Layout(
        centre={f"p{p}": "XY"[p % 2] for p in range(6)},
        fold={f"p{p}": str(p % 3) for p in range(6)},
        cohort={0: "c0", 1: "c0", 2: "c1", 3: "c1"},
    )
    assert found.notes == (
        "the column 'Center' says the centre of each row",
        "the column 'FOLD' says the fold of each row",
        "the column 'cohort' says the cohort of each row",
    )
    renamed = read(tmp_path, "patient,run,arm,value,site,x,y\n" + rows, centre="SITE", fold="x")
    assert renamed.table.layout == Layout(found.table.layout.centre, found.table.layout.fold)
    assert renamed.notes == ("a column that is not read: y",)


def test_a_table_per_fold(tmp_path: Path) -> None:
    """One cross-validation, each patient tested once: a single run with a partition."""
    found = read(tmp_path, "fold,patient,A,B\n1,p1,.5,.7\n2,p2,.25,.75\n")
    assert cells(found) == TWO
    assert found.table.layout == Layout(fold={"p1": "1", "p2": "2"})


LESIONS = {
    "named by patient": ["p1,x1", "p1,x2", "p2,x3", "p2,x4"],
    "numbered anew": ["p1,1", "p1,2", "p2,1", "p2,2"],
    "sides": ["p1,left", "p1,right", "p2,left", "p2,right"],
}


@pytest.mark.parametrize("name", LESIONS)
def test_lesions_are_averaged_within_the_patient(tmp_path: Path, name: str) -> None:
    values = iter((0.2, 0.4, 0.6, 0.8, 0.3, 0.5, 0.7, 0.9))
    rows = "".join(f"{who},1,{arm},{next(values)}\n" for arm in "AB" for who in LESIONS[name])
    found = read(tmp_path, "patient,part,run,arm,value\n" + rows, cluster="part")
    expected = [("p1", 1, "A", 0.3), ("p1", 1, "B", 0.4), ("p2", 1, "A", 0.7), ("p2", 1, "B", 0.8)]
    assert cells(found) == [(*key, pytest.approx(value)) for *key, value in expected]
    assert found.notes == ("values of 4 parts are averaged within 2 people",)


def test_the_person_may_be_the_cluster(tmp_path: Path) -> None:
    """Patients are lesions here; centre and fold are then the person's."""
    content = "patient,cluster,centre,A,B\nn1,p1,X,.5,.75\nn2,p1,X,1,.25\nn3,p2,Y,.25,.5\n"
    found = read(tmp_path, content)
    assert cells(found) == [("p1", 1, "A", 0.75), ("p1", 1, "B", 0.5), ("p2", 1, "A", 0.25),
                            ("p2", 1, "B", 0.5)]  # fmt: skip
    assert found.table.layout.centre == {"p1": "X", "p2": "Y"}
    assert "the column 'cluster' says the cluster of each row" in found.notes


def test_a_lesion_without_a_value_leaves_its_persons_cell_missing(tmp_path: Path) -> None:
    rows = [f"p{p},{part},{run},A,.{p}{part}" for p in (1, 2) for part in (1, 2) for run in (1, 2)]
    rows[0] = rows[0].rpartition(",")[0] + ","  # p1, part 1, run 1: empty
    rows.remove("p2,2,2,A,.22")
    found = read(tmp_path, "patient,cluster,run,arm,value\n" + "\n".join(rows))
    missing = [(c.patient, c.replicate) for c in found.table.cells if math.isnan(c.value)]
    assert missing == [("p1", 1), ("p2", 2)]
    assert found.notes[-1] == "2 means lack a part without a value: a missing cell"


@pytest.mark.parametrize(
    "names",
    [
        ["p1_lesion1", "p1_lesion2", "p2_lesion1", "p3_lesion1"],
        ["case3-left", "case3-right", "case4-left", "case4-right"],
        ["A_nodule_1", "A_nodule_2", "B_nodule_1", "B_nodule_2"],
        ["sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1", "sub-02_ses-2"],
        ["12L", "12R", "13L", "13R"],
        ["7a", "7b", "8a", "8b"],
        ["P1 scan2 left", "P1 scan3 left", "P2 Scan1 Left"],
    ],
)
def test_names_of_parts_are_asked_about(tmp_path: Path, names: list[str]) -> None:
    content = "patient,A,B\n" + "".join(f"{name},.5,.7\n" for name in names)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    assert f"'{names[0]}' and '{names[1]}'" in str(caught.value)
    assert "(or --cluster COLUMN), or with --cluster patient that each is" in str(caught.value)
    assert set(read(tmp_path, content, cluster="patient").table.patients) == set(names)


@pytest.mark.parametrize(
    "names",
    [
        ["p1", "p2", "p3", "p10"],
        ["pt_12", "pt_13", "pt_14"],
        ["sub-01_ses-1", "sub-02_ses-1", "sub-03_ses-1"],
        ["01-001", "01-002", "02-001"],
        ["scan_1", "scan_2", "scan_3"],
        ["liver_image_1", "liver_image_2"],
        ["R1", "R2", "L1"],
        ["0b3f", "0b3a", "9c1e", "7d2b", "11aa", "5e5c"],
        ["Alexander", "Peter", "Walter"],
        ["p1_lesion1", "p2_lesion1", "p3_lesion1", "p4_lesion1", "p5_lesion1", "p5_lesion2"],
    ],
)
def test_names_of_people_are_not(tmp_path: Path, names: list[str]) -> None:
    found = read(tmp_path, "patient,A,B\n" + "".join(f"{name},.5,.7\n" for name in names))
    assert len(found.table.patients) == len(names)


def test_no_name_loses_more_than_its_part() -> None:
    assert PART.sub("", "tumour_p7_lesion_2") == "tumour_p7"
    assert PART.sub("", "Shared") == "Shared"


LONG = "patient,run,arm,value\n"
WRONG: list[tuple[str, dict[str, object], str]] = [
    ("patient,run,arm,dice\np1,1,A,.5\n", {}, "no 'value'; add it, or name it with --value COLUMN"),
    ("patient,replicat,arm,value\np,0,A,1\n", {}, "Then say --replicate 'replicat'"),
    ("case,run,arm,value\np,0,A,1\n", {}, "no 'patient'; add it, or name it with --patient"),
    ("Patent,run,A,B\np,0,.1,.2\n", {}, "is 'Patent' the column 'patient'?"),
    ("fold,A,B\n1,.81,.82\n2,.79,.8\n", {}, "no 'patient'"),
    (LONG + "p,0,A,1\n", {"value": "dise"}, "--value must name a column of '"),
    (LONG + "p,0,A,1\n", {"arm": "runs"}, "but got 'runs'; did you mean 'run'?"),
    (LONG + "p,0,A,1\n", {"centre": "zz"}, "got 'zz'; it has 'patient', 'run', 'arm', 'value'"),
    (LONG + "p,0,A,1\n", {"arms": ("A", "B")}, "--arms must name a column of '"),
    (LONG + "p,0,A,1\n", {"centre": "arm"}, "but got 'arm' named for two; name another one"),
    ("patient,A,B\np,.1,.2\n", {"arms": ("A",), "value": "B"}, "but got both; leave one out"),
    ("patient,A,B,age\np,.1,.2,61\n", {}, "in 0 to 1), 'age' (whole numbers) in '"),
    ("patient,A,B,volume\np,.1,.2,6.5\n", {}, "name the arms' columns with --arms A,B"),
    ("patient,run,method,dice\np,1,A,.2\n", {}, "columns of arms and values with --arm and"),
    ("patient,A\np,.1\n", {}, "must have a column for each arm, and no others, but got 'A' ("),
    ("patient,run\np,1\n", {}, "but got none in '"),
    ("patient,A,a\np,.1,.2\n", {}, "but got 'A' (numbers in 0 to 1), 'a' (num"),
    ("patient,run,A,B\np,1,.1,.2\np,2,.3,good\n", {}, "but got 'good' in row 3"),
    ("patient,A,B\np,.1,.2\np,.2,.3\n", {}, "tells them apart with --replicate or --cluster"),
    (LONG + "p,1,A,.5\np,1,A,.6\n", {}, "column that tells them apart with --cluster"),
    (LONG + "p,1,A,81%\np,2,A,.8\n", {}, "got one with % in row 2 and one without in row 3"),
    ("patient,A,B\np,81.5%,8.2\n", {}, "got one with % in row 2 and one without in row 2"),
    ("patient,centre,A,B\np,X,.1,.2\nq,Y,.1,.3\np,Y,.2,.3\n", {"replicate": "A", "arms": ("B",)},
     "each patient must have one centre, but got 'X' in row 2 and 'Y' in row 4"),
    ("patient,fold,run,A,B\np,1,1,.1,.2\np,2,2,.1,.3\n", {}, "all repeats have one partition"),
    ("patient,cohort,run,A,B\np,c,1,.1,.2\nq,d,1,.1,.3\n", {}, "for replicate '1'"),
    ("patient,fold,A,B\np,1,.1,.2\nq,,.2,.3\n", {}, "must name its fold, but got nothing in row 3"),
    ("patient,cluster,A,B\np,a,.1,.2\np,b,.1,.2\nq,b,.1,.2\nq,c,.1,.2\nr,d,.1,.3\n", {},
     "but got 'b' for patients 'p' (row 3) and 'q' (row 4)"),
    ("patient,cluster,centre,A,B\nn1,p1,X,.1,.2\nn2,p1,Y,.1,.2\nn3,p2,Y,.1,.2\n", {},
     "got 'X' in row 2 and 'Y' in row 3 of"),
    ("patient,cluster,A,B\np,x,.1,.2\nq,x,.1,.2\n", {}, "apart, but got only 'x'"),
    ("patient,A,B\np,.1,.2\nq,.1,.2\nMean,.1,.2\n", {}, "must be a person, but got 'Mean'"),
    ("patient,A,B\nq,.1,.2\nMean ± SD,.1,.2\n", {}, "got 'Mean ± SD'"),
    ("patient,A,B\nq,.1 ± .2,.2\n", {}, "but got 'A' (text), 'B' (numbers in 0 to 1) in"),
    ("patient,run,A,B\np,1,.1,.2\np,2,.1\n", {}, "but got 3 in row 3"),
    ("patient,run,center,centre,A,B\np,1,x,y,.1,.2\n", {}, "both 'center' and 'centre'"),
    ("# only\n# comments\n", {}, "with nothing in it"),
    ("sep=;\n", {}, "with nothing in it"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "columns", "said"), WRONG)
def test_what_is_wrong_in_one_sentence(
    tmp_path: Path, content: str, columns: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, content, **columns)
    text = str(caught.value)
    assert said in text
    assert "but got" in text
    assert "\n" not in text
    assert isinstance(caught.value, ConfigError | DataError)
