"""Who is in which subgroup, from training patients' thresholds, and what a user's file may say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.base.errors import ConfigError
from harness.compare.subgroups import declare_subgroups
from harness.config.decision import DecisionConfig
from harness.data.quality.scan_summary import scan_summary
from harness.data.scan import Scan
from harness.work.prepare.patient_index import IndexedPatient


def patient(
    name: str, edge: int = 10, metal: int = 0, spacing: float = 3.0, sides: bool = False
) -> IndexedPatient:
    """A cube of `edge` voxels of 1 x 1 x `spacing` mm as a structure, `metal` voxels of metal in
    its first slice; further metal lies in a slice without it."""
    hu = np.full((20, 24, 24), -100, np.int16)
    mask = np.zeros(hu.shape, bool)
    mask[2 : 2 + edge, :edge, :edge] = True
    hu[2].flat[:metal] = 3000
    hu[19, :20] = 3000
    names = ("gland_left", "gland_right") if sides else ("gland",)
    scan = Scan(name, hu, dict.fromkeys(names, mask), np.diag([spacing, 1.0, 1.0, 1.0]))
    digest = f"digest of {name}"
    return IndexedPatient(name, digest, None, (), names, {}, scan_summary(scan), scan.ct_digest())


TRAIN = [patient(f"t{n}", edge=4 + n, spacing=2.0 + n % 3) for n in range(9)]
TEST = [
    patient("a", edge=5, metal=33, spacing=2.0),  # 66 mm3
    patient("b", edge=8, metal=34, spacing=3.0),  # 102 mm3
    patient("c", edge=12, metal=0, spacing=3.5),
]
ROLES = {p.digest: "train" for p in TRAIN} | {p.digest: "test" for p in TEST}


def declared(*names: str, file: Path | None = None, test: list[IndexedPatient] = TEST) -> object:
    decision = DecisionConfig(subgroups=names, subgroups_file=str(file) if file else None)
    roles = ROLES | {p.digest: "test" for p in test}
    return declare_subgroups(decision, [*TRAIN, *test], roles)


def digests(*names: str) -> list[str]:
    return [f"digest of {name}" for name in names]


def test_metal_is_counted_in_the_structures_slices_alone() -> None:
    assert declared("metal") == {
        "metal": {
            "words": "over 0.1 ml above 2,500 HU in the slices of the structures",
            "groups": {"metal": digests("b"), "no metal": digests("a", "c")},
        }
    }


def test_small_and_spacing_have_the_training_patients_thresholds() -> None:
    found = declared("small", "spacing")
    volumes = [(4 + n) ** 3 * (2.0 + n % 3) for n in range(9)]
    limit = np.quantile(np.array(volumes) / np.median(volumes), 0.25)
    assert f"below {limit:.3g} times" in found["small"]["words"]
    sizes = {"a": 250.0, "b": 1536.0, "c": 12**3 * 3.5}
    small = [name for name, size in sizes.items() if size / np.median(volumes) < limit]
    assert small == ["a"]  # by hand, from the volumes in mm3
    assert found["small"]["groups"] == {"small": digests("a"), "not small": digests("b", "c")}
    assert found["spacing"]["groups"] == {
        "thicker": digests("c"),
        "up to 3 mm": digests("a", "b"),
    }


def test_a_factor_of_one_group_and_structures_without_sides_are_left_out_with_the_reason() -> None:
    found = declared("metal", "side", test=TEST[::2])
    assert found["metal"]["left_out"] == "all are no metal"
    assert found["side"]["left_out"] == "all are sideless"
    both = declared("side", test=[patient("s", sides=True)])
    assert both["side"]["groups"] == {"left": ["gland_left"], "right": ["gland_right"]}


def test_a_file_adds_factors_under_its_columns_names(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("patient, centre,machine\nt1,X,1\nb,Y,2\na, X ,1\nc,Y,1\n", "utf-8-sig")
    found = declared("metal", file=path)
    assert list(found) == ["metal", "centre", "machine"]
    assert found["centre"] == {
        "words": "as groups.csv says",
        "groups": {"X": digests("a"), "Y": digests("b", "c")},
    }
    assert found["machine"]["groups"] == {"1": digests("a", "c"), "2": digests("b")}


HEAD = "decision.subgroups_file ('groups.csv') "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "patient,centre\na,X\nb,Y\nc,Y\nb,X\n",
            "must have a row for each patient, but got several of b; keep one",
        ),
        (
            "patient,centre\na,X\nb,Y\nc,Y\nzz,X\n",
            "must name usable patients of this experiment only, but got zz; take the names of "
            "patients.csv beside a report",
        ),
        (
            "patient,centre\na,X\nb,Y\n",
            "must say the centre of every test patient, but got none of c; add them",
        ),
        (
            "patient,centre\na,X\nb,Y\nc,\n",
            "must say the centre of every test patient, but got none of c; add them",
        ),
        (
            "patient,centre\na,X\nb,X\nc,X\n",
            "must have two groups of test patients or more for centre, but got 'X' alone; remove "
            "that column",
        ),
        (
            "name,centre\na,X\n",
            "must have a column patient and one for each factor, by names of their own, but got "
            "name, centre",
        ),
        (
            "patient\na\n",
            "must have a column patient and one for each factor, by names of their own, but got "
            "patient",
        ),
        (
            "patient,metal\na,X\n",
            "must have a column patient and one for each factor, by names of their own, but got "
            "patient, metal",
        ),
        (
            "",
            "must have a column patient and one for each factor, by names of their own, but got "
            "nothing",
        ),
    ],
)
def test_a_file_that_says_too_little_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        declared("metal", file=path)
    assert str(refused.value) == HEAD + said


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    with pytest.raises(ConfigError, match="none: No such file or directory; check"):
        declared(file=path)
    path.write_bytes(b"patient,centre\n\xff\xfe,1\n")
    with pytest.raises(ConfigError, match="must be a CSV file, but got none: no CSV in UTF-8"):
        declared(file=path)
