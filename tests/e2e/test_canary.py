"""A canary for leaks: what the test patients hold may reach test scores and nothing before them.

The same training and validation patients go the whole path twice. The second time every test
patient is marked in a way that whatever looked at it would learn: a bright block beside the
structure, the structure larger and elsewhere in the frame; and there is one test patient more, so
that nothing may go by the number of patients either. A third run plants the mark in a training
patient instead.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AnySet
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from factories.openkbp import EDGE, write_experiment, write_openkbp
from factories.tiny import values_of
from numpy.typing import NDArray

from harness.base.console import Console
from harness.base.files import digest_of
from harness.commands import steps
from harness.commands.chosen_settings import stage_sweep
from harness.commands.session import Session
from harness.commands.sweep import STAGES
from harness.config.load import load_experiment
from harness.data.pairs.store import Store
from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.journal import series
from harness.metrics.images.mask_shape import PlausibilityRule, fit_plausibility
from harness.sweep.study import Trial
from harness.work.generate import synthesis

COUNTS = {"train": 3, "validation": 2, "test": 2}
# Enough training for masks of which some are plausible, and for segmenters that find the structure.
CHANGES = (
    "compute.precision=float32",  # `auto` differs by machine, and so would what converges
    "data.spacing_mm=1",
    "data.structures=[parotid_left]",
    "mask.optimiser.learning_rate=0.001",
    "mask.schedule.epochs=32",  # at 40 and more the discriminator is about to win
    "segmentation.channels=[8, 16]",
    "segmentation.augmentation={contrast: 0, gamma: 0, blur_px: 0, low_resolution: 0}",
    "segmentation.learning_rate=0.05",
    "segmentation.updates=60",
    "segmentation.updates_per_epoch=30",
    "replicates.count=1",
    "metrics.images=8",
    "sweep.seeds=1",
    "sweep.mask.space.batch_size.values=[4, 8]",
    "sweep.segmentation={candidates: 2, space: {augmentation.magnitude: {values: [0.5, 2.0]}}}",
)
TISSUE, GLAND, BRIGHT = 1064, 1114, 2500  # HU + 1024
MOVED = 6  # voxels of 2 mm

TESTED = ("opening", "test-score")
"""Kinds of jobs that test patients may reach, beside their own scans in the store."""

# Times, or digests over a whole store with the scans of its test patients.
UNLIKE = {"spec.json", "inputs.json", "covered.json", "lease.json", "lease.lock", "latest.pt"}


# --- material -------------------------------------------------------------------------------


def write_patients(root: Path, counts: Mapping[str, int], marked: Collection[str]) -> Path:
    """An OpenKBP folder of small patients with one structure, which is quick to find and to
    learn."""
    write_openkbp(root, counts)
    for patient in root.glob("provided-data/*/*"):
        hu = volume(patient / "ct.csv")
        hu[volume(patient / "RightParotid.csv") > 0] = TISSUE
        if patient.name in marked:
            mark(hu, patient / "LeftParotid.csv")
        flat = hu.ravel()
        write_table(patient / "ct.csv", [f"{i},{flat[i]:.0f}" for i in np.flatnonzero(flat)])
        (patient / "voxel_dimensions.csv").write_text("2.0\n2.0\n2.0\n")
    return root


def mark(hu: NDArray[np.float64], contour: Path) -> None:
    """Make a patient's structure larger, move it to the back and put a bright block before it."""
    body, structure = hu > 0, volume(contour) > 0
    moved = grown(np.roll(structure, MOVED, axis=0)) & body
    row, column = (round(float(places.mean())) for places in np.nonzero(moved)[:2])
    block = np.zeros_like(body)
    block[row - 12 : row - 5, column - 3 : column + 4] = True
    for where, value in ((structure, TISSUE), (block & body, BRIGHT), (moved, GLAND)):
        hu[where] = value
    write_table(contour, [f"{index}," for index in np.flatnonzero(moved)])


def write_table(path: Path, lines: Iterable[str]) -> None:
    path.write_text("\n".join([",data", *lines, ""]))


def volume(path: Path) -> NDArray[np.float64]:
    """A sparse file as a volume: its values, or 1 where it has voxels alone."""
    cells = [line.split(",") for line in path.read_text().split()[1:]]
    flat = np.zeros(EDGE**3)
    flat[[int(index) for index, _ in cells]] = [float(value or 1) for _, value in cells]
    return flat.reshape((EDGE,) * 3)


def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Larger by a voxel along every axis."""
    for axis in range(3):
        mask = mask | np.roll(mask, 1, axis) | np.roll(mask, -1, axis)
    return mask


# --- what a run leaves ----------------------------------------------------------------------


@dataclass(frozen=True)
class Ran:
    """An experiment that went the whole path.

    Attributes:
        work: its work folder.
        home: what belongs to the experiment alone.
        trials: every trial of every stage's study.
        rules: what each synthesis found plausible, in order.
        compared: what the comparison found; None where there was none.
    """

    work: WorkFolder
    home: Path
    trials: Mapping[str, list[Trial]]
    rules: list[dict[str, Any]]
    compared: steps.Compared | None

    @property
    def store(self) -> Store:
        (path,) = self.work.jobs.glob("prepare/*")
        return Store.open(path / "store")

    @property
    def sealed(self) -> set[str]:
        """Digests of the test patients."""
        return {p["digest"] for p in self.store.meta["patients"] if p["role"] == "test"}

    def chosen(self) -> list[Any]:
        """Every version of the choice, without what only names the data that it was made on."""
        paths = sorted(self.home.glob("chosen-*.yaml"))
        return [without(yaml.safe_load(path.read_text()), {"study", "base"}) for path in paths]

    def validation_dice(self) -> dict[str, list[float]]:
        """The curve of every segmenter, by the job's name."""
        names, name = names_of(self.work), "validation/dice"
        found = (JobFolder(path) for path in self.work.jobs.glob("segmenter/*"))
        return {names[job.path.name]: series(job.journal, name)[1] for job in found}

    def test_dice(self) -> dict[tuple[str, str], float]:
        """By arm and patient, of the test patients that every run has."""
        assert self.compared is not None
        cells = self.compared.table.cells
        return {(c.arm, c.patient): c.value for c in cells if c.patient in ("pt_6", "pt_7")}


def run(root: Path, patients: Path, to_the_end: bool = True) -> Ran:
    """Take patients the whole path, or as far as the sweeps, every job in this process."""
    root.mkdir()
    experiment = load_experiment(write_experiment(root / "tiny.yaml", patients), CHANGES)
    rules: list[dict[str, Any]] = []

    def fit_and_tell(masks: NDArray[Any], tolerance: float) -> PlausibilityRule:
        rule = fit_plausibility(masks, tolerance)
        rules.append(asdict(rule))
        return rule

    session = Session(experiment, root / "work", Console(quiet=True), engine="inline")
    with pytest.MonkeyPatch.context() as patch, session.open(track=False):
        patch.setattr(synthesis, "fit_plausibility", fit_and_tell)
        steps.prepare(session)
        steps.sweep(session, STAGES)
        compared = steps.compare(session) if to_the_end else None
    trials = {stage: stage_sweep(session, stage).study.trials() for stage in ("mask", "image")}
    return Ran(session.work, session.home, trials, rules, compared)


def without(tree: Any, keys: Collection[str]) -> Any:
    """Plain data without the entries of these names, at any depth."""
    if isinstance(tree, dict):
        return {name: without(part, keys) for name, part in tree.items() if name not in keys}
    return [without(part, keys) for part in tree] if isinstance(tree, list) else tree


def names_of(work: WorkFolder) -> dict[str, str]:
    """Digest of every job -> a name that says what it does and not who the patients are."""
    specs = {
        path.parent.name: JobFolder(path.parent).spec() for path in work.jobs.glob("*/*/spec.json")
    }

    def name(digest: str) -> str:
        spec = specs[digest]
        inputs = {key: [name(i.digest), i.epoch] for key, i in spec.inputs.items()}
        what = {**spec.to_dict(), "config": without(spec.config, {"patients"}), "inputs": inputs}
        return f"{spec.kind}, seed {spec.seed}, {digest_of(what)}"

    return {digest: name(digest) for digest in specs}


def left_by(ran: Ran) -> dict[str, Any]:
    """Content of every file of every job, by the job's name and the file's; none that is sealed.

    Bytes, where a file is not one of records that also hold times, digests or test patients.
    """
    names, sealed, found = names_of(ran.work), ran.sealed, {}
    for digest, name in names.items():
        folder = next(ran.work.jobs.glob(f"*/{digest}"))
        if folder.parent.name in TESTED:
            continue
        for path in folder.rglob("*"):
            if path.is_file() and path.name not in UNLIKE and not sealed & set(path.parts):
                found[f"{name}: {path.relative_to(folder)}"] = content(path, names, sealed)
    return found


def content(path: Path, names: Mapping[str, str], sealed: AnySet[str]) -> Any:
    """What a file holds, as far as it may be the same in two runs."""
    if path.name == "journal.jsonl":
        return {key: repr(value) for key, value in values_of(JobFolder(path.parent)).items()}
    if path.name not in ("result.json", "meta.json"):
        return path.read_bytes()
    text = path.read_text()
    for digest, name in names.items():
        text = text.replace(digest, name)
    plain = json.loads(text)
    if path.name == "meta.json":
        plain["patients"] = [p for p in plain["patients"] if p["digest"] not in sealed]
        return plain
    outputs = [name for name in plain["outputs"] if not sealed & set(Path(name).parts)]
    if "patients" in plain["values"]:
        del plain["values"]["patients"]["test"]
    return {"outputs": outputs, "values": plain["values"], "compute": plain["compute"]}


def differing(one: Ran, two: Ran) -> set[str]:
    """Names of the files that only one of them left, or that differ."""
    first, second = left_by(one), left_by(two)
    return {name for name in {*first, *second} if first.get(name) != second.get(name)}


# --- the canary -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory: hundreds of small files would wait for the disk."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def plain(memory: Path) -> Ran:
    return run(memory / "plain", write_patients(memory / "plain-patients", COUNTS, ()))


@pytest.fixture(scope="module")
def marked(memory: Path) -> Ran:
    """The test patients are marked, and there is one more."""
    counts = {**COUNTS, "test": COUNTS["test"] + 1}
    patients = write_patients(memory / "marked-patients", counts, ("pt_6", "pt_7", "pt_8"))
    return run(memory / "marked", patients)


@pytest.fixture(scope="module")
def trained_on(memory: Path) -> Ran:
    """A training patient is marked instead."""
    patients = write_patients(memory / "trained-on-patients", COUNTS, ("pt_1",))
    return run(memory / "trained-on", patients, to_the_end=False)


def test_the_mark_is_in_the_test_patients_and_their_scores(plain: Ran, marked: Ran) -> None:
    assert not plain.sealed & marked.sealed
    assert (len(plain.sealed), len(marked.sealed)) == (2, 3)
    # Jobs take patients in this order; those that train stand at other places in it.
    places = [
        [place for place, p in enumerate(ran.store.meta["patients"]) if p["role"] == "train"]
        for ran in (plain, marked)
    ]
    assert places[0] != places[1]
    before, after = plain.test_dice(), marked.test_dice()
    assert before.keys() == after.keys()
    assert {arm for arm, _ in before} == {"traditional", "traditional+gan"}
    for patient in ("pt_6", "pt_7"):
        assert any(before[key] != after[key] for key in before if key[1] == patient)


def test_no_file_from_before_the_test_knows_the_mark(plain: Ran, marked: Ran) -> None:
    assert differing(plain, marked) == set()
    # Nothing that is fitted was left out.
    compared = {(name.split(",")[0], name.rpartition("/")[2]) for name in left_by(plain)}
    trainings = ("mask-stage", "image-stage", "segmenter")
    made = ("ct.npy", "masks.npy", "index.csv", "meta.json")
    assert compared >= {
        *((kind, "weights.safetensors") for kind in trainings),
        *((kind, "result.json") for kind in trainings),
        *((kind, name) for kind in ("prepare", "synthesis") for name in made),
        *(("prepare", name) for name in ("parotid_left.npy", "scan.json", "hu.npy")),
    }
    records = {name for name in left_by(plain) if name.endswith(": result.json")}
    assert {name.split(",")[0] for name in records} == {
        "prepare", "real-diversity", "mask-score", "image-score", "synthesis", "validation-score"
    }  # fmt: skip


def test_nothing_chosen_before_the_test_knows_the_mark(plain: Ran, marked: Ran) -> None:
    assert plain.trials == marked.trials
    for trials in plain.trials.values():  # there was a choice
        values = [trial.value for trial in trials]
        assert None not in values
        assert len(set(values)) == 2
    assert plain.chosen() == marked.chosen()
    (chosen,) = plain.chosen()
    assert set(chosen) == set(STAGES)
    assert plain.rules == marked.rules
    assert plain.rules
    assert plain.validation_dice() == marked.validation_dice()
    assert any(max(curve) > 0 for curve in plain.validation_dice().values())


def test_the_mark_in_a_training_patient_moves_all_of_it(plain: Ran, trained_on: Ran) -> None:
    before, after = left_by(plain), left_by(trained_on)
    shared = before.keys() & after.keys()
    weights = {name for name in shared if name.endswith("weights.safetensors")}
    kinds = {name.split(",")[0] for name in weights}
    assert kinds == {"mask-stage", "image-stage", "segmenter"}
    pairs = {name for name in shared if name.startswith("prepare") and "/scans/" not in name}
    assert {name.rpartition("/")[2] for name in pairs} >= {"ct.npy", "meta.json", "index.csv"}
    assert weights | pairs <= differing(plain, trained_on)
    crops = [ran.store.meta["crop"] for ran in (plain, trained_on)]
    assert crops[0] != crops[1]
    assert plain.trials != trained_on.trials
    assert plain.chosen() != trained_on.chosen()
    assert not [rule for rule in trained_on.rules if rule in plain.rules]
    curves = plain.validation_dice(), trained_on.validation_dice()
    assert any(curves[0][name] != curves[1][name] for name in curves[0].keys() & curves[1].keys())
