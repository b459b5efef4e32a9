"""`harness inspect`: what is said of a folder, and masks that other programs place alike."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from factories.dicom import (
    placed,
    rectangle,
    save,
    save_series,
    series_datasets,
    structure_dataset,
    to_mm,
)

from harness.base.errors import ConfigError, DataError
from harness.commands.inspect.command import inspect_folder
from harness.commands.inspect.text import show

SHAPE = (5, 30, 40)
TURNED = placed(SHAPE, (3.0, 1.0, 2.0), orientation=(0.96, 0.28, 0, -0.28, 0.96, 0))
LEVEL, ROWS, COLUMNS = 2, (9.5, 14.5), (19.5, 29.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hu = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 1000
    root = tmp_path / "in"
    save_series(series_datasets(hu, TURNED), root)
    box = rectangle(TURNED, LEVEL, ROWS, COLUMNS)
    names = {"Parotid_L": [box], "a/b: c": [box], "A B  C": [box], "Empty": []}
    save(structure_dataset(names), root / "rs.dcm")
    (root / "note.txt").write_text("x")
    return root


def look(root: Path, workdir: Path | None = None, **options: Any) -> dict[str, Any]:
    return inspect_folder(root, workdir=workdir or root / "no-work-folder", **options)


def test_keys_that_programs_read(folder: Path) -> None:
    found = json.loads(json.dumps(look(folder)))
    assert {"series", "structure_sets", "patients", "ignored"} <= set(found)
    [series], [drawn] = found["series"], found["structure_sets"]
    assert (series["shape"], series["spacing_mm"]) == (list(SHAPE), [3.0, 1.0, 2.0])
    assert (series["orientation"], drawn["series"]) == ("axial", series["number"])
    keys = {"name", "type", "contours", "voxels", "volume_ml", "structure", "warnings"}
    assert set(drawn["rois"][0]) == keys
    assert drawn["rois"][0]["voxels"] == 5 * 10
    assert drawn["rois"][0]["volume_ml"] == pytest.approx(50 * 6 / 1000)
    assert found["ignored"] == [{"file": "note.txt", "reason": "it is not a readable DICOM file"}]


@pytest.mark.parametrize(("kind", "suffix"), [("nifti", ".nii.gz"), ("nrrd", ".nrrd")])
def test_masks_lie_where_their_contours_do(
    folder: Path, tmp_path: Path, kind: str, suffix: str
) -> None:
    found = look(folder, masks=tmp_path / "out", kind=kind)
    files = found["masks"]["files"]
    masks = [entry for entry in files if "roi" in entry]
    assert [entry["roi"] for entry in masks] == ["Parotid_L", "a/b: c", "A B  C"]
    assert len({entry["file"].lower() for entry in masks}) == 3
    centre = ((ROWS[0] + ROWS[1]) / 2, (COLUMNS[0] + COLUMNS[1]) / 2)
    for entry in masks:
        assert entry["file"].endswith(suffix)
        image = SimpleITK.ReadImage(str(tmp_path / "out" / entry["file"]))
        where = np.argwhere(SimpleITK.GetArrayFromImage(image))
        assert len(where) == 50
        middle = [float(v) for v in where.mean(0)[::-1]]
        point = image.TransformContinuousIndexToPhysicalPoint(middle)
        expected = to_mm(TURNED, np.array([(LEVEL, *centre)]))[0]
        np.testing.assert_allclose(point, expected, atol=1e-4)
    [image_file] = [entry["file"] for entry in files if "series" in entry]
    image = SimpleITK.ReadImage(str(tmp_path / "out" / image_file))
    index = image.TransformPhysicalPointToIndex(to_mm(TURNED, np.array([(3, 7, 11)]))[0].tolist())
    assert image[index] == (3 * 30 * 40 + 7 * 40 + 11) % 1000


def test_pseudonyms_are_those_of_the_work_folder(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "private" / "dicom"
    key.mkdir(parents=True)
    (key / "key").write_bytes(b"k" * 32)
    first, again = look(folder, tmp_path), look(folder, tmp_path)
    assert first["patients"] == again["patients"]
    assert look(folder)["patients"] != first["patients"]
    assert sorted(p.name for p in key.iterdir()) == ["key"]


def test_nothing_is_written_into_the_folder(folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    look(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_what_prepare_takes_is_said_of_any_usual_structure(tmp_path: Path) -> None:
    save_series(series_datasets(np.zeros(SHAPE, int), TURNED), tmp_path)
    box = rectangle(TURNED, LEVEL, ROWS, COLUMNS)
    save(structure_dataset({"SpinalCord": [box], "GTV": [box]}), tmp_path / "rs.dcm")
    [entry] = look(tmp_path)["used"]
    assert (entry["structures"], entry["notes"]) == ({"spinal_cord": 1}, [])
    save(structure_dataset({"GTV": [box]}), tmp_path / "rs.dcm")
    [entry] = look(tmp_path)["used"]
    assert "no region has a usual name" in entry["notes"][0]


def test_whose_pseudonyms_are_shown_is_said(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "private" / "dicom"
    stream, kept = io.StringIO(), io.StringIO()
    show(look(folder), stream)
    key.mkdir(parents=True)
    (key / "key").write_bytes(b"k" * 32)
    show(look(folder, tmp_path), kept)
    assert "named for this listing alone" in stream.getvalue()
    assert "named for this listing alone" not in kept.getvalue()


def test_the_table(folder: Path) -> None:
    stream = io.StringIO()
    show(look(folder), stream)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "1 patient, 1 series, 1 structure set"
    [structure] = [line.split() for line in lines if "Parotid_L" in line]
    assert structure[-1] == "parotid_left"
    assert {"50", "0.30"} <= set(structure)
    assert any("it has no contours" in line for line in lines if "Empty" in line)
    assert "1 file ignored (it is not a readable DICOM file): note.txt" in lines


def test_places_that_hold_something_are_refused(folder: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "x").touch()
    with pytest.raises(ConfigError, match="--masks must name a new or empty folder, but got"):
        look(folder, masks=taken)
    with pytest.raises(ConfigError, match="--format must be nifti or nrrd, but got 'dicom'"):
        look(folder, masks=tmp_path / "out", kind="dicom")


def test_a_folder_without_dicom_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    with pytest.raises(DataError, match="must hold DICOM images or structure sets, but got 1 file"):
        look(tmp_path)


def test_a_damaged_slice_costs_its_image_alone(folder: Path, tmp_path: Path) -> None:
    one = sorted(folder.glob("*.dcm"))[0]
    one.write_bytes(one.read_bytes()[:-1500])
    found = look(folder, masks=tmp_path / "out")
    [series] = found["series"]
    cut, unwritten = series["warnings"]
    assert cut == f"'{one.name}' cut off: too small for the pixels; export the series again"
    assert unwritten.startswith("its image is not written: pixels of every slice must decode")
    assert f"'{one.name}'" in unwritten
    assert len([entry for entry in found["masks"]["files"] if "roi" in entry]) == 3
    assert (tmp_path / "out" / "files.json").exists()


def test_what_is_not_finished_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.commands.inspect.command.write_volume", full)
    with pytest.raises(OSError, match="No space left"):
        look(folder, masks=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_links_are_listed_not_followed(folder: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "patient").symlink_to(folder)
    with pytest.raises(DataError, match="1: it is a link to a folder, which is not followed"):
        look(links)
    (folder / "other").symlink_to(links)
    reasons = {entry["file"]: entry["reason"] for entry in look(folder)["ignored"]}
    assert reasons["other"] == "it is a link to a folder, which is not followed"


def test_places_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="inspect needs an existing folder of DICOM files"):
        look(folder / "note.txt")
    with pytest.raises(ConfigError, match="--masks must lie outside the folder that is inspected"):
        look(folder, masks=folder / "masks")
    with pytest.raises(ConfigError, match="--masks must be a folder that can be made and written"):
        look(folder, masks=Path("/proc/none/masks"))


def test_names_of_files_stay_on_their_line(folder: Path) -> None:
    (folder / "odd\x1b[31m\nname").touch()
    assert "odd?[31m?name" in {entry["file"] for entry in look(folder)["ignored"]}
