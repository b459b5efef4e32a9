"""A tiny work folder: a real store of drawn ellipses, and trainings that take a second."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.files import read_json, sha256_file
from harness.config.experiment import Experiment, model_of
from harness.data.pairs.placement import Placement
from harness.data.pairs.store import LoadedScan, PairRow, write_scan, write_store
from harness.jobs.checkpoint import load_weights
from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.journal import JournalLine, read_lines
from harness.jobs.runner import Outcome, run_request
from harness.jobs.spec import Request, Spec
from harness.work.specs import Specs

CPU = {"device": "cpu", "precision": "float32", "threads": 1}
# `HARNESS_TEST_DEVICE=cuda` makes the same promises be kept by a GPU.
COMPUTE = {
    "device": os.environ.get("HARNESS_TEST_DEVICE", "cpu"),
    "precision": os.environ.get("HARNESS_TEST_PRECISION", "float32"),
    "threads": 1,
}
EXTRACTOR = {"name": "efficientnet-lite0", "weights": "0f" * 32}
ROLES = ("train", "train", "train", "validation", "validation", "test")
# Measured by the clock: the one value of a journal that no two trainings share.
CLOCKED = "train/images_per_second"


def digest_for(patient: str) -> str:
    return (patient.encode().hex() * 24)[:24]


def tiny_experiment(**changed: Any) -> Experiment:
    """Widths of 4 and frames of 64 pixels; sections in `changed` are merged into these, or stand
    alone where they name a network."""
    plain: dict[str, Any] = {
        "name": "tiny",
        "data": {"crop": {"frame_px": 64}, "structures": ["structure"]},
        "mask": {"width": 4, "latent": 8, "batch_size": 4, "schedule": {"epochs": 4}},
        "image": {"width": 4, "batch_size": 3, "schedule": {"epochs": 3}},
        "synthesis": {"pairs": 6, "attempts": 11},
        "segmentation": {
            "channels": [4, 8],
            "residual_units": 1,
            "batch_size": 4,
            "updates": 12,
            "updates_per_epoch": 4,
        },
        "metrics": {"images": 6},
    }
    for section, values in changed.items():
        merged = isinstance(values, dict) and isinstance(plain.get(section), dict)
        merged = merged and "network" not in values  # another one has other settings
        plain[section] = {**plain[section], **values} if merged else values
    return model_of(plain).model_validate(plain)


def ellipses(count: int, edge: int, seed: int) -> NDArray[np.uint8]:
    """(count, 1, edge, edge): one drawn ellipse each, within the middle 64 pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:edge, :edge] - (edge - 1) / 2
    drawn = []
    for _ in range(count):
        (dy, dx), (a, b) = rng.uniform(-6, 6, 2), rng.uniform(8, 16, 2)
        drawn.append(((y - dy) / a) ** 2 + ((x - dx) / b) ** 2 <= 1)
    return np.stack(drawn)[:, None].astype(np.uint8)


@dataclass
class Tiny:
    """A work folder with one finished prepare job.

    Attributes:
        roles: of patients p0, p1, ...
        slices: pairs of each patient; the last one of a training patient holds no structure.
        salt: other salts give other patients.
    """

    root: Path
    experiment: Experiment = field(default_factory=tiny_experiment)
    roles: Sequence[str] = ROLES
    slices: int = 4
    salt: str = "p"

    def __post_init__(self) -> None:
        self.work = WorkFolder(self.root)
        self.specs = Specs(self.experiment, COMPUTE, EXTRACTOR)
        self.patients = {f"{self.salt}{n}": role for n, role in enumerate(self.roles)}
        self.store = self.specs.prepare({digest_for(p): r for p, r in self.patients.items()})
        self.prepare()

    @property
    def store_folder(self) -> Path:
        return self.work.job(self.store).path / "store"

    def prepare(self, seed: int = 0) -> None:
        """Write the store as a prepare job does; another seed draws other pictures."""
        folder, crop = self.store_folder, self.experiment.data.crop
        shown = [p for p, role in self.patients.items() if role != "test"]
        masks = ellipses(len(shown) * self.slices, crop.frame_px, seed)
        masks[self.slices - 1 :: self.slices] = 0
        noise = np.random.default_rng(seed + 1).normal(0, 0.1, masks.shape)
        ct = np.clip(np.where(masks > 0, 0.5, -0.5) + noise, -1, 1).astype(np.float32)
        rows = [
            self._row(n, shown[n // self.slices], n % self.slices, int(masks[n].sum()))
            for n in range(len(masks))
        ]
        for patient, role in self.patients.items():
            if role == "test":
                write_scan(folder / "scans" / digest_for(patient), tiny_scan(crop.frame_px, seed))
        write_store(folder, ct, masks, rows, self._meta())
        self.record()

    def record(self) -> None:
        """Store the prepare job's result for the store as it is on the disk."""
        job = self.work.job(self.store)
        job.open(self.store)
        files = [path for path in self.store_folder.rglob("*") if path.is_file()]
        job.finish(files, {}, {}, {"seconds": 0.0}, {})

    def _row(self, number: int, patient: str, level: int, area: int) -> PairRow:
        return PairRow(
            pair=number,
            patient=patient,
            patient_digest=digest_for(patient),
            role=self.patients[patient],
            structure="structure",
            side="",
            slice=level,
            z_mm=3.0 * level,
            mirrored=False,
            structure_px=area,
            selected=True,
            crop="{}",
        )

    def _meta(self) -> dict[str, Any]:
        data = self.experiment.data
        return {
            "kind": "real",
            "channels": ["structure"],
            "mirror": data.mirror,
            "frame_px": data.crop.frame_px,
            "mask_px": data.crop.mask_px,
            "spacing_mm": 1.0,
            "window_hu": list(data.window_hu),
            "legacy_scaling": False,
            "patients": [
                {"patient": p, "digest": digest_for(p), "role": r} for p, r in self.patients.items()
            ],
            "lineage": {},
        }

    # --- jobs ------------------------------------------------------------------------------

    def mask(self, seed: int = 0) -> Spec:
        return self.specs.stage(self.store, self.experiment.mask, seed)

    def image(self, seed: int = 0) -> Spec:
        return self.specs.stage(self.store, self.experiment.image, seed)

    def score_of(self, training: Spec, epoch: int) -> Spec:
        """The score of a checkpoint, real images' diversity measured."""
        stage = getattr(self.experiment, training.kind.removesuffix("-stage"))
        settings = stage.model_copy(update={"learns": training.config.get("learns")})
        self.must(self.specs.diversity(self.store, settings.shows))
        return self.specs.score(self.store, settings, training, epoch)

    def run(
        self,
        spec: Spec,
        *epochs: int,
        stop: Callable[[], bool] = lambda: False,
        pictures: int = 2,
        branches: tuple[int, ...] = (),
        **runtime: Any,
    ) -> Outcome:
        request = Request(spec, epochs, pictures, runtime, branches=branches)
        return run_request(request, self.work, stop)

    def must(self, spec: Spec, *epochs: int, **more: Any) -> JobFolder:
        outcome = self.run(spec, *epochs, **more)
        assert outcome.state == "done", outcome.reason
        return self.work.job(spec)


def tiny_scan(edge: int, seed: int = 0, slices: int = 5) -> LoadedScan:
    """A scan on a grid of 1 mm, whose structure is an ellipse in all but the outer slices."""
    mask = np.repeat(ellipses(1, edge, seed + 9)[:, 0] > 0, slices, 0)
    mask[[0, -1]] = False
    hu = np.where(mask, 40, -100).astype(np.int16)
    middle = (edge - 1) / 2
    return LoadedScan(
        hu,
        {"structure": mask},
        np.diag([3.0, 1.0, 1.0, 1.0]),
        {"structure": Placement((middle, middle), (0, slices - 1))},
    )


class StopAfter:
    """True from the `count`-th time on that it is asked: a training asks after every update."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def lines_of(folder: JobFolder) -> list[JournalLine]:
    return read_lines(folder.journal)[0]


def values_of(folder: JobFolder) -> dict[tuple[int, str], float]:
    """Journal values by step and name, without the clocked one; a double line fails."""
    lines = [line for line in lines_of(folder) if line.name != CLOCKED]
    found = {(line.step, line.name): line.value for line in lines}
    assert len(found) == len(lines), "a value stands twice in the journal"
    return found


def failure_of(folder: JobFolder) -> str | None:
    """Why a job failed last."""
    path = folder.path / "failure.json"
    return read_json(path)["reason"] if path.exists() else None


def weights_at(folder: JobFolder, epoch: int) -> str:
    return sha256_file(folder.at(epoch) / "weights.safetensors")


def changed_share(before: JobFolder, after: JobFolder, epoch: int) -> float:
    """Share of weights that differ between two checkpoints."""
    one, two = (load_weights(f.at(epoch) / "weights.safetensors") for f in (before, after))
    differing = sum(int((one[name] != two[name]).sum()) for name in one)
    return differing / sum(value.numel() for value in one.values())


def same(one: Mapping[Any, float], two: Mapping[Any, float]) -> None:
    """Equal keys, and values equal bit by bit (NaN to NaN)."""
    assert one.keys() == two.keys()
    np.testing.assert_array_equal(np.array(list(one.values())), [two[key] for key in one])
