"""Source `images`: people, privacy, preparing, real masks."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import factories.image as material
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from factories.image import (
    BOTH,
    LEFT,
    SHAPE,
    Drawn,
    draw,
    like,
    only,
    read_all,
    save,
    source,
)
from pydantic import ValidationError

from harness.config.data import DataConfig
from harness.data.phantom import make_anatomy
from harness.data.scan import Excluded, Scan
from harness.work.prepare.sources import make_source


def test_two_scans_of_one_person_are_one_patient(root: Path) -> None:
    """The scan with most structures is read, so nobody can train and test at once."""
    one = {"Parotid_L": LEFT}
    scanned = (("0727a", 1, one), ("0727b", 2, BOTH), ("0727c", 4, one), ("1", 3, BOTH))
    for name, seed, boxes in scanned:
        drawn = draw(seed, boxes)
        save(drawn.ct, root / name / "ct.nrrd")
        for structure, mask in drawn.masks.items():
            save(mask, root / name / f"{structure}.nrrd")
    assert len(source(root).patients()) == 4
    images = {"patient_pattern": r"^(\d+)[abc]?$"}
    scans = read_all(root, images=images)
    [twice] = [s for s in scans if isinstance(s, Scan) and s.notes]
    assert len(scans) == 2
    np.testing.assert_array_equal(twice.hu, material.voxels(2))
    assert twice.notes == ("3 scans of this patient; the one with most structures is used",)
    (root / "0727b" / "ct.nrrd").write_bytes(b"NRRD0004\n")
    [twice] = [s for s in read_all(root, images=images) if isinstance(s, Scan) and len(s.notes) > 1]
    np.testing.assert_array_equal(twice.hu, material.voxels(1))
    assert twice.notes[1].startswith("a scan is not used: file 5: a volume must")
    assert twice.notes[2].startswith("3 scans of this patient")


def test_patterns_of_the_config_are_checked() -> None:
    for images in (
        {"image": "("},
        {"patient_pattern": "["},
        {"patient_pattern": "no group"},
        {"patient_pattern": "(two)(groups)"},
        {"labels": {"a": 0}},
        {"layout": "other"},
    ):
        with pytest.raises(ValidationError):
            DataConfig(source="images", root="x", images=images)


def test_one_bad_patient_never_stops_the_rest(root: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        path = material.pddca(root, number, draw(number))
        whole = path.read_bytes()
        if number == 1:
            path.write_bytes(whole[: len(whole) // 2])
        if number == 2:
            path.write_bytes(rng.bytes(4000))
        if number == 3:
            path.unlink()
            path.symlink_to(root / "nowhere.nrrd")
        if number == 4:
            os.chmod(next(path.parent.rglob("Parotid_L.nrrd")), 0)
            next(path.parent.rglob("Parotid_R.nrrd")).write_bytes(b"")
    os.mkfifo(root / "0522c0005" / "structures" / "Cord.nrrd")  # reading would wait for ever
    scans = read_all(root)
    assert len(scans) == 6
    assert sum(isinstance(scan, Scan) for scan in scans) == 2


def test_signatures_follow_what_is_read(root: Path) -> None:
    path = material.pddca(root, 5, draw(5))
    mask = next(root.rglob("Parotid_L.nrrd"))

    def sign(**images: Any) -> str:
        [reference] = [r for r in source(root, images=images).patients() if r.location[0].image]
        return reference.signature

    first = sign()
    material.pddca(root, 1, draw(1)).unlink()  # somebody else's files move no signature
    assert sign() == first
    seen = {first}
    for changed in (path, mask):
        os.utime(changed, ns=(1, 1))
        seen.add(sign())
    mask.unlink()
    seen.add(sign())
    assert len(seen) == 4
    one = sign(layout="folders", image="^img$", labels={"parotid_left": 1})
    assert one != sign(layout="folders", image="^img$", labels={"parotid_left": 2})
    assert sign(nifti_form="sform") not in (sign(), sign(nifti_form="qform"))


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr", ".hdr"])
def test_signatures_follow_voxels_beside_a_header(root: Path, suffix: str) -> None:
    drawn = draw()
    save(drawn.ct, root / "P1" / f"ct{suffix}")
    save(drawn.masks["Parotid_L"], root / "P1" / "masks" / "Parotid_L.nrrd")
    [first] = source(root).patients()
    [voxels] = [
        p for p in (root / "P1").iterdir() if p.name.startswith("ct") and p.suffix != suffix
    ]
    os.utime(voxels, ns=(1, 1))
    [second] = source(root).patients()
    assert first.signature != second.signature


# --- privacy ------------------------------------------------------------------------------------

PLANTED = "Wintermute"


def test_names_stay_in_the_private_folder(root: Path) -> None:
    """Folders, files and NRRD headers are named after people, and everything goes wrong."""
    good, bad = draw(1), draw(2)
    for person, drawn in ((f"{PLANTED}_1", good), (f"{PLANTED}_2", bad)):
        for image in (drawn.ct, *drawn.masks.values()):
            image.SetMetaData("patient", PLANTED)
        save(drawn.ct, root / person / f"{person}_ct.nrrd")
        for name, mask in drawn.masks.items():
            save(mask, root / person / f"{person}_{name}.nrrd")
    failures: list[Callable[[Path], object]] = [
        lambda path: path.write_bytes(path.read_bytes()[:700]),
        lambda path: path.write_text(PLANTED),
        lambda path: path.write_text(f"NRRD0004\nspace: {PLANTED}\n{PLANTED}\n"),
        lambda path: path.write_bytes(
            path.read_bytes().replace(b"left-posterior-superior", PLANTED.encode())
        ),
        lambda path: save(like(np.zeros(SHAPE, np.uint8), bad.ct), path),
        lambda path: path.unlink(),
    ]
    for name in (f"{PLANTED}_2_Parotid_L.nrrd", f"{PLANTED}_2_ct.nrrd"):
        path = root / f"{PLANTED}_2" / name
        whole = path.read_bytes()
        for fail in failures:
            fail(path)
            there = source(root)
            said = []
            for reference in there.patients():
                scan = there.read(reference)
                said.append(repr(reference))
                said.append(
                    scan.reason if isinstance(scan, Excluded) else str([scan.notes, scan.patient])
                )
                assert re.fullmatch(r"p-[0-9a-f]{8}", scan.patient)
                said += scan.labels
            assert not [text for text in said if PLANTED.lower() in text.lower()]
            assert str(root) not in " ".join(said)
            path.write_bytes(whole)
    private = root.parent / "work" / "private" / "images"
    source(root).patients()
    kept = json.loads((private / "files.json").read_text())
    assert sorted(map(int, kept["files"])) == [1, 2, 3, 4, 5, 6]
    assert kept["files"]["1"].endswith(f"{PLANTED}_1_Parotid_L.nrrd")
    assert sorted(kept["patients"].values()) == [f"{PLANTED}_1", f"{PLANTED}_2"]
    assert {path.name for path in private.iterdir()} == {"key", "files.json"}
    for path in private.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


# --- the other way round ------------------------------------------------------------------------


def test_what_inspect_writes_of_dicom_is_read_as_the_same_patient(tmp_path: Path) -> None:
    """Its folders are `folders`; a phantom is one patient as DICOM and as files."""
    from harness.commands.inspect.command import inspect_folder

    small = {"patients": 1, "slices": 12, "spacing_mm": (4.0, 3.0, 3.0)}
    phantom = make_source(DataConfig(phantom=small), tmp_path / "phantom")  # type: ignore[arg-type]
    [reference] = phantom.patients()
    dicom = phantom.read(reference)
    assert isinstance(dicom, Scan)
    [patients] = (tmp_path / "phantom" / "private" / "phantom" / "patients").iterdir()
    for kind in ("nifti", "nrrd"):
        out = tmp_path / kind / "in"
        inspect_folder(patients, out, workdir=tmp_path / "work", kind=kind)
        scan = only(out)
        assert scan.content_digest() == dicom.content_digest()
        assert set(scan.labels) >= {"mandible", "spinal_cord"} or len(scan.labels) > 2


# --- preparing ----------------------------------------------------------------------------------


def test_six_phantoms_are_prepared(tmp_path: Path) -> None:
    from harness.base.console import Console
    from harness.commands.session import Session
    from harness.commands.steps import prepare
    from harness.config.experiment import Experiment

    volumes = []
    for number in range(6):
        anatomy = make_anatomy(3, number, 14, (4.0, 3.0, 3.0))
        image = sitk.GetImageFromArray(anatomy.hu)
        image.SetSpacing((3.0, 3.0, 4.0))
        lattice = anatomy.lattice
        image.SetOrigin((float(lattice.x[0]), float(lattice.y[0]), float(lattice.z[0])))
        names = {"parotid_left": "Parotid_L", "parotid_right": "Parotid_R"}
        masks = {names[n]: like(m.astype(np.uint8), image) for n, m in anatomy.masks().items()}
        volumes.append(sum(int(sitk.GetArrayFromImage(m).sum()) for m in masks.values()))
        material.pddca(tmp_path / "in", number, Drawn(image, masks))
    experiment = Experiment.model_validate(
        {
            "name": "images",
            "tracking": {"enabled": False},
            "data": {"source": "images", "root": str(tmp_path / "in"), "spacing_mm": 3.0,
                     "crop": {"frame_px": 64}},
        }
    )  # fmt: skip
    work = tmp_path / "work"
    with Session(experiment, work, Console(quiet=True), engine="inline").open() as session:
        values = prepare(session)
    assert sum(values["patients"].values()) == 6
    assert set(values["patients"]) == {"train", "validation", "test"}
    assert min(entry["with the structure"] for entry in values["pairs"].values()) > 0
    assert all(volume > 0 for volume in volumes)
    for path in work.rglob("*"):
        if path.is_file() and work / "private" not in path.parents:
            assert b"0522c" not in path.read_bytes(), path


# --- real masks ---------------------------------------------------------------------------------

REAL = Path(os.environ.get("HARNESS_TEST_DATA", "")) / "deepmind-parotids"


real = [
    pytest.mark.realdata,
    pytest.mark.skipif(
        "HARNESS_TEST_DATA" not in os.environ or not REAL.is_dir(),
        reason="needs deepmind-parotids/ in the folder that HARNESS_TEST_DATA names",
    ),
]


def with_marks(test: Callable[..., None]) -> Callable[..., None]:
    for mark in real:
        test = mark(test)
    return test


@with_marks
def test_real_masks_without_ct_are_excluded_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "in").symlink_to(REAL)
    scans = read_all(tmp_path / "in")
    assert len(scans) == len(list(REAL.glob("nrrds/*/oncologist/*"))) > 30
    assert all(s.reason.startswith("a scan must have") for s in scans if isinstance(s, Excluded))
    assert not any(isinstance(scan, Scan) for scan in scans)
    images = {"patient_pattern": r"^\w+/(.*?)[ab]?$"}  # 0522c0727a and b are one person
    assert len(read_all(tmp_path / "in", images=images)) == len(scans) - 1


@with_marks
@pytest.mark.parametrize("observer", ["oncologist", "radiographer"])
def test_real_glands_are_as_large_as_simpleitk_counts(root: Path, observer: str) -> None:
    """With a made CT in the masks' geometry; every twelfth scan."""
    expected: dict[str, dict[str, float]] = {}
    for folder in sorted(REAL.glob(f"nrrds/*/{observer}/*"))[1::12]:
        copy = root / folder.relative_to(REAL)
        (copy / "segmentations").mkdir(parents=True)
        volumes = expected.setdefault("/".join(folder.parts[-3::2]), {})
        for path in sorted((folder / "segmentations").glob("*.nrrd")):
            (copy / "segmentations" / path.name).symlink_to(path)
            mask = sitk.ReadImage(str(path))
            side = "parotid_left" if "Lt" in path.name else "parotid_right"
            voxels = int(sitk.GetArrayViewFromImage(mask).sum(dtype=np.int64))
            volumes[side] = voxels * float(np.prod(mask.GetSpacing())) / 1000
        sitk.WriteImage(sitk.Cast(mask, sitk.sitkInt16) * 1030 - 1000, str(copy / "CT_IMAGE.nrrd"))
    there = source(root, images={"observer": observer})
    references = there.patients()
    assert len(references) == len(expected) >= 3
    for reference in references:
        scan = there.read(reference)
        assert isinstance(scan, Scan), scan
        voxel_ml = abs(float(np.linalg.det(scan.affine[:3, :3]))) / 1000
        found = {name: float(mask.sum()) * voxel_ml for name, mask in scan.masks.items()}
        assert found == pytest.approx(expected[reference.location[0].identity], rel=1e-6)
        assert all(5 < volume < 70 for volume in found.values()), found  # ml of a parotid
        left, right = (
            np.argwhere(scan.masks[f"parotid_{s}"])[:, 2].mean() for s in ("left", "right")
        )
        assert left > right, "columns run to the patient's left"
