"""The `prepare` job on DICOM patients written here: pairs, marks, losses, kept scans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.dicom import placed, rectangle, save, save_series, series_datasets, structure_dataset
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.config.data import DataConfig
from harness.config.experiment import Experiment, to_dict
from harness.data.pairs.store import PairRow, Store
from harness.jobs.context import Context
from harness.jobs.folder import WorkFolder
from harness.jobs.spec import Request
from harness.work.prepare.job import prepare_pairs
from harness.work.prepare.kept_scan import drop_kept
from harness.work.prepare.patient_index import IndexedPatient, index_patients
from harness.work.prepare.sources import make_source
from harness.work.specs import Specs

SHAPE = (18, 64, 64)
AFFINE = placed(SHAPE, (3.0, 3.0, 3.0))
CENTRE = (32, 40)
FRAME, MASK = 32, 16
# Row, column and slice ranges of the structures, both ends included: the left one sticks out of the
# mask crop behind, and out of the frame to the left.
GLANDS = {"Parotid_L": ((28, 43), (34, 57), (6, 11)), "Parotid_R": ((28, 36), (10, 14), (7, 11))}
TALL = (
    1,
    16,
)  # slices of the validation patient's left structure: more than training patients show
ROLES = ("train", "train", "train", "validation", "test")


def anatomy(patient: int) -> NDArray[np.int64]:
    """An ellipse of soft tissue with bone in it, denser patient by patient."""
    row, column = np.mgrid[:64, :64]
    body = ((row - 32) / 26) ** 2 + ((column - 32) / 30) ** 2 < 1
    made = np.full(SHAPE, -1000)
    made[:, body] = 20 + patient
    for index in range(SHAPE[0]):
        made[index, 30:36, 30 - index : 34 + index] = 600
    for rows, columns, slices in GLANDS.values():
        made[tuple(slice(a, b + 1) for a, b in (slices, rows, columns))] = -20
    return made


def structures(patient: int) -> dict[str, tuple[tuple[int, int], ...]]:
    """Contoured structures of a patient."""
    found = dict(GLANDS)
    if ROLES[patient % len(ROLES)] == "validation":
        found["Parotid_L"] = (*GLANDS["Parotid_L"][:2], TALL)
    if patient == 1:
        del found["Parotid_R"]
    return found


def box(place: tuple[tuple[int, int], ...], index: int) -> NDArray[np.float64]:
    rows, columns = ((first - 0.5, last + 0.5) for first, last in place[:2])
    return rectangle(AFFINE, index, rows, columns)


def write_patient(root: Path, patient: int) -> None:
    datasets = series_datasets(anatomy(patient), AFFINE)
    rois = {
        name: [box(place, index) for index in range(place[2][0], place[2][1] + 1)]
        for name, place in structures(patient).items()
    }
    structure_set = structure_dataset(rois)
    for dataset in (*datasets, structure_set):
        dataset.PatientID = f"patient {patient}"
    save_series(datasets, root / str(patient))
    save(structure_set, root / str(patient) / "rs.dcm")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patients")
    for patient in range(len(ROLES)):
        write_patient(folder, patient)
    return folder


def config_of(root: Path, **changed: Any) -> DataConfig:
    crop = {"placement": "fixed", "fixed_row": CENTRE[0], "fixed_column": CENTRE[1]}
    values = {
        "source": "dicom",
        "root": str(root),
        "spacing_mm": 3.0,
        "background_slice_fraction": 0.3,
        "crop": {**crop, "frame_px": FRAME, "mask_px": MASK},
    }
    return DataConfig.model_validate(values | changed)


def request_of(config: DataConfig, work: Path) -> tuple[Request, dict[str, IndexedPatient]]:
    """A request for pairs, roles in the order of the patients' densities."""
    source = make_source(config, work)
    patient_index = index_patients(source, config, work, lambda *_: None).usable
    densest = {
        reference.patient: int(np.median(scan.hu[scan.hu > 0]))  # type: ignore[union-attr]
        for reference in source.patients()
        for scan in [source.read(reference)]
    }
    ordered = sorted(patient_index, key=lambda look: densest[look.patient])
    roles = {look.digest: role for look, role in zip(ordered, ROLES, strict=True)}
    # Copied, since frames as small as these suit no network.
    experiment = Experiment(name="pairs").model_copy(update={"data": config})
    spec = Specs(experiment, {}, {}).prepare(roles)
    runtime = {
        "data": to_dict(config),
        "root": str(work),
        "patient_index": {look.digest: look.file for look in patient_index},
    }
    return Request(spec, runtime=runtime), dict(zip("01234", ordered, strict=True))


class Prepared:
    """A finished job."""

    def __init__(self, config: DataConfig, work: Path) -> None:
        self.request, self.patients = request_of(config, work)
        context = Context(self.request, WorkFolder(work))
        prepare_pairs(context)
        self.path = context.folder.path
        self.store = Store.open(self.path / "store")
        self.values = context.folder.result()["values"]  # type: ignore[index]

    def rows(self, patient: int, structure: str) -> list[PairRow]:
        digest = self.patients[str(patient)].digest
        return [
            row
            for row in self.store.rows
            if (row.patient_digest, row.structure) == (digest, structure)
        ]

    def range(self, patient: int, structure: str) -> tuple[int, int]:
        digest = self.patients[str(patient)].digest
        [record] = [r for r in self.store.scans(ROLES[patient]) if r.digest == digest]
        return record.load().placements[structure].slices


@pytest.fixture(scope="module")
def prepared(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Prepared(config_of(root), tmp_path_factory.mktemp("work"))


def test_training_pairs_are_the_placed_range_with_marks_on_gland_and_the_nearest(
    prepared: Prepared,
) -> None:
    """6 and 5 slices with the structure; 0.3 of them are 2 without."""
    for patient in (0, 2):
        left, right = (prepared.rows(patient, f"parotid_{side}") for side in ("left", "right"))
        assert [row.slice for row in left if row.selected] == [*range(5, 13)]
        assert [row.slice for row in right if row.selected] == [*range(6, 13)]
        assert all(row.role == "train" for row in (*left, *right))
        assert [row.structure_px > 0 for row in left if row.selected] == [False, *[True] * 6, False]
        for rows in (left, right):
            assert [row.slice for row in rows] == [*range(rows[0].slice, rows[-1].slice + 1)]
            assert not any(row.structure_px for row in rows if not row.selected)
            assert len(rows) > sum(row.selected for row in rows)


def test_a_gland_that_is_not_contoured_has_no_pairs(prepared: Prepared) -> None:
    assert sum(row.selected for row in prepared.rows(1, "parotid_left")) == 8
    assert prepared.rows(1, "parotid_right") == []


def test_validation_pairs_are_the_placed_range_with_marks(prepared: Prepared) -> None:
    rows = prepared.rows(3, "parotid_left")
    first, last = prepared.range(3, "parotid_left")
    assert [row.slice for row in rows] == [*range(first, last + 1)]
    assert [row.slice for row in rows if row.selected] == [*range(first, last + 1)]
    right = prepared.rows(3, "parotid_right")
    assert [row.slice for row in right if row.selected] == [*range(6, 13)]
    assert len(right) > 7
    assert all(row.role == "validation" for row in rows)


def test_test_patients_have_no_pairs(prepared: Prepared) -> None:
    assert prepared.rows(4, "parotid_left") == []
    assert {row.role for row in prepared.store.rows} == {"train", "validation"}
    assert prepared.values["patients"] == {"train": 3, "validation": 1, "test": 1}


def test_counts(prepared: Prepared) -> None:
    for role in ("train", "validation"):
        rows = [row for row in prepared.store.rows if row.role == role]
        assert prepared.values["pairs"][role] == {
            "pairs": len(rows),
            "with the structure": sum(row.structure_px > 0 for row in rows),
            "selected": sum(row.selected for row in rows),
        }


def test_rows_agree_with_their_images(prepared: Prepared) -> None:
    """A frame about (32, 40) at the scan's own spacing: its pixels lie between voxels."""
    store = prepared.store
    assert store.channels == ["parotid"]
    assert store.ct.shape == (len(store.rows), 1, FRAME, FRAME)
    for place, row in enumerate(store.rows):
        assert row.pair == place
        assert row.structure_px == store.masks[place].sum()
        assert row.mirrored == (row.structure == "parotid_left") == (row.side == "left")
        assert row.z_mm == row.slice * 3
        assert json.loads(row.crop) == {"centre": [32.0, 40.0]}
        assert row.patient.startswith("p-")
    # Rows 28 to 43 and columns 34 to 57, in as many pixels; pixel 0 lies on row 16.5 and column
    # 24.5, where every edge is a tie; columns run backwards.
    [row] = [row for row in prepared.rows(0, "parotid_left") if row.slice == 8]
    expected = np.zeros((FRAME, FRAME), bool)
    expected[11:27, : 32 - 10] = True
    assert np.array_equal(store.masks[row.pair, 0] > 0, expected)
    assert store.ct[row.pair, 0, 12:27, :22] == pytest.approx((-20 + 324) / 500 * 2 - 1, abs=1e-5)


def expected_share(role: str, reach: int) -> float:
    """Structure voxels farther than `reach` from the centre, as a share; worked from the boxes."""
    lost = total = 0
    for patient in [index for index, given in enumerate(ROLES) if given == role]:
        for (r0, r1), (c0, c1), (s0, s1) in structures(patient).values():
            rows, columns = np.arange(r0, r1 + 1) - CENTRE[0], np.arange(c0, c1 + 1) - CENTRE[1]
            kept = (np.abs(rows) <= reach).sum() * (np.abs(columns) <= reach).sum()
            lost += (len(rows) * len(columns) - kept) * (s1 - s0 + 1)
            total += len(rows) * len(columns) * (s1 - s0 + 1)
    return lost / total


@pytest.mark.parametrize("role", ["train", "validation"])
def test_losses_are_the_voxels_cut_off(prepared: Prepared, role: str) -> None:
    """32 pixels reach 15.5 voxels either way: 31 whole ones; a crop of 16 holds 15."""
    lost = prepared.values["lost"]
    frame, mask = expected_share(role, 15), expected_share(role, 7)
    assert 0 < frame < mask < 1
    assert lost[f"structure voxels outside the frame, {role}"] == pytest.approx(frame)
    assert lost[f"structure voxels outside the mask crop, {role}"] == pytest.approx(mask)
    assert not [name for name in lost if "test" in name]


def test_slices_outside_the_range_are_lost(prepared: Prepared) -> None:
    lost, total = 0, 0
    for structure, name in (("parotid_left", "Parotid_L"), ("parotid_right", "Parotid_R")):
        (r0, r1), (c0, c1), (s0, s1) = structures(3)[name]
        first, last = prepared.range(3, structure)
        area = (r1 - r0 + 1) * (c1 - c0 + 1)
        lost += area * sum(not first <= index <= last for index in range(s0, s1 + 1))
        total += area * (s1 - s0 + 1)
    assert lost > 0
    found = prepared.values["lost"]
    assert found["structure voxels outside the slice range, validation"] == pytest.approx(
        lost / total
    )
    assert found["structure voxels outside the slice range, train"] == 0


def test_scans_of_validation_and_test_patients_are_kept(prepared: Prepared) -> None:
    store = prepared.store
    assert len(list((store.folder / "scans").iterdir())) == 2
    for patient, role in ((3, "validation"), (4, "test")):
        [record] = store.scans(role)
        assert record.digest == prepared.patients[str(patient)].digest
        scan = record.load()
        assert np.array_equal(scan.hu, anatomy(patient))
        assert scan.affine == pytest.approx(AFFINE)
        assert set(scan.masks) == set(scan.placements) == {"parotid_left", "parotid_right"}
        assert scan.placements["parotid_left"].centre == CENTRE


def test_patients_stand_in_content_order(prepared: Prepared) -> None:
    digests = [entry["digest"] for entry in prepared.store.meta["patients"]]
    assert digests == sorted(digests)
    assert set(digests) == {look.digest for look in prepared.patients.values()}
    held = list(dict.fromkeys(row.patient_digest for row in prepared.store.rows))
    assert held == sorted(held)


def test_nothing_names_the_source_folder(prepared: Prepared, root: Path) -> None:
    for path in prepared.path.rglob("*"):
        assert not path.is_file() or str(root).encode() not in path.read_bytes(), path


def test_another_private_key_gives_the_same_pairs(
    prepared: Prepared, root: Path, tmp_path: Path
) -> None:
    """Pseudonyms differ; arrays, digests and values do not."""
    other = Prepared(config_of(root), tmp_path)
    assert other.request.spec.digest == prepared.request.spec.digest
    assert other.values == prepared.values
    for name in ("ct.npy", "masks.npy"):
        assert (other.store.folder / name).read_bytes() == (
            prepared.store.folder / name
        ).read_bytes()
    assert {row.patient for row in other.store.rows}.isdisjoint(
        row.patient for row in prepared.store.rows
    )


def test_without_mirroring_each_side_has_a_channel(root: Path, tmp_path: Path) -> None:
    made = Prepared(config_of(root, mirror=False), tmp_path)
    assert made.store.channels == ["parotid_left", "parotid_right"]
    for place, row in enumerate(made.store.rows):
        channel = made.store.channels.index(row.structure)
        assert not row.mirrored
        assert not made.store.masks[place, 1 - channel].any()
        assert made.store.masks[place, channel].sum() == row.structure_px


def test_pairs_are_of_the_scan_that_was_indexed_or_refused(
    prepared: Prepared, tmp_path: Path
) -> None:
    """A patient is read once: files that change afterwards are not looked into. Where the scan was
    not kept they are read, and are no longer what was planned with."""
    for patient in range(len(ROLES)):
        write_patient(tmp_path / "in", patient)
    request, patients = request_of(config_of(tmp_path / "in"), tmp_path / "work")
    datasets = series_datasets(anatomy(7), AFFINE)
    for dataset in datasets:
        dataset.PatientID = "patient 2"
    save_series(datasets, tmp_path / "in" / "2")
    context = Context(request, WorkFolder(tmp_path / "work"))
    prepare_pairs(context)
    kept = Store.open(context.folder.path / "store")
    assert np.array_equal(kept.ct, prepared.store.ct)
    assert np.array_equal(kept.masks, prepared.store.masks)
    drop_kept(tmp_path / "work" / "patient-index")
    with pytest.raises(DataError) as caught:
        prepare_pairs(Context(request, WorkFolder(tmp_path / "work")))
    assert str(caught.value) == (
        f"patient {patients['2'].patient} must still be what it was when it was first read, but "
        "its files changed; repeat the command"
    )
