"""Names of ROIs that may say who somebody is: numbered in what is stored, resolved in private."""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.base.files import read_record
from harness.data.dicom.other_names import FILE, OtherNames, quoted
from harness.data.dicom.usual_names import is_usual

USUAL = ("Parotid_L", "Glnd_Submand_R", "Spinal Cord", "BODY", "LT PAROTID", "Mandible")
OTHER = ("GTV Meier", "PTV_60", "Ohr li", "zParotid", "Parotid_L Meier", "Parotid_L\n", "x", "")


def test_usual_names_stay_and_others_are_numbered_as_they_come(tmp_path: Path) -> None:
    names = OtherNames(tmp_path / "private", ("my_gland",))
    assert names.hide((*USUAL, "my_gland"), ()) == ([*USUAL, "my_gland"], [])
    assert not (tmp_path / "private").exists()
    assert names.hide(("PTV", "BODY", "GTV Meier"), ())[0] == [
        "other name 2", "BODY", "other name 1"
    ]  # fmt: skip
    again = OtherNames(tmp_path / "private")
    assert again.hide(("a new one", "PTV"), ())[0] == ["other name 3", "other name 2"]
    assert read_record(tmp_path / "private" / FILE) == {
        "other name 1": "GTV Meier", "other name 2": "PTV", "other name 3": "a new one"
    }  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_what_is_not_wholly_usual_is_other(name: str) -> None:
    assert not is_usual(name)


@pytest.mark.parametrize("name", USUAL)
def test_usual(name: str) -> None:
    assert is_usual(name)


def test_what_a_text_quotes_is_a_name(tmp_path: Path) -> None:
    names = OtherNames(tmp_path)
    text = (
        "the image's parotid must be contoured, but its patients' set has 'Cord', 'GTV Meier' and "
        "2 more; see data.patterns"
    )
    _, [hidden] = names.hide((), (text,))
    assert hidden == text.replace("GTV Meier", "other name 1")
    assert names.reveal(hidden) == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=4))
def test_no_name_gets_through_whatever_it_holds(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = OtherNames(Path(folder))
        secret = [f"Meier{name}" for name in names]
        text = f"it has {', '.join(map(quoted, secret))}; see data.patterns"
        labels, [hidden] = kept.hide(secret, (text,))
        assert "Meier" not in hidden
        assert not [label for label in labels if "Meier" in label]
        assert kept.reveal(hidden) == text


def test_an_own_name_that_looks_like_a_number_is_one_more_name(tmp_path: Path) -> None:
    names = OtherNames(tmp_path)
    shown, _ = names.hide(("other name 1", "PTV"), ())
    assert [names.reveal(name) for name in shown] == ["other name 1", "PTV"]
    assert sorted(shown) == ["other name 1", "other name 2"]


ENTER = """
import sys
import tempfile
from pathlib import Path
from harness.data.dicom.other_names import OtherNames
names = OtherNames(Path(sys.argv[1]))
for n in range(40):
    names.hide((f"GTV {n}", f"of {sys.argv[2]}: {n}"), ())
"""


def test_several_processes_give_each_name_one_number(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    started = [
        subprocess.Popen([sys.executable, "-c", ENTER, str(folder), str(n)]) for n in range(3)
    ]
    assert [process.wait(120) for process in started] == [0] * 3
    kept = read_record(folder / FILE)
    assert len(set(kept.values())) == len(kept) == 40 + 3 * 40
    assert set(kept) == {f"other name {n}" for n in range(1, 161)}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_who_may_not_read_the_list_reads_numbers(tmp_path: Path) -> None:
    assert OtherNames(tmp_path / "none").reveal("'other name 7'") == "'other name 7'"
