"""Small work folders with made-up but consistent numbers, through the records that jobs use."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from factories.fake_executor import verdict
from numpy.typing import NDArray
from scipy import ndimage

from harness.base.files import write_json
from harness.compare.protocol import ComparisonPlan
from harness.compare.replicate import Replicate
from harness.config.arms import arm_of
from harness.config.experiment import Experiment, to_dict
from harness.data.pairs.store import PairRow, write_store
from harness.inference.decision import decide
from harness.inference.table import Cell, Table
from harness.jobs.folder import WorkFolder
from harness.jobs.journal import Journal
from harness.jobs.spec import Phases, Spec
from harness.report.data import PatientLine, ReportData
from harness.sweep.plan import SeedRun, SweepPlan, TrialRun
from harness.sweep.study import Trial
from harness.sweep.verdicts import Verdicts, sweep_verdicts
from harness.training.pictures import grid, to_grey, write_png
from harness.work.specs import Specs

EXTRACTOR = {"name": "efficientnet-lite0", "weights": "0f" * 12}
FINISHED = 1_790_000_000.0
ARMS = ("none", "traditional", "gan", "traditional+gan", "duplicate")
RATIOS = {
    "healthy": 1.02,
    "partial collapse": 0.61,
    "mode collapse": 0.113,
    "convergence failure": 0.07,
    "undecided": 1.0,
}
WORDS = {(2, 1): "partial collapse", (3, 0): "mode collapse", (3, 1): "mode collapse"}
GAIN = {
    "none": -0.03,
    "traditional": 0.0,
    "gan": -0.01,
    "traditional+gan": 0.012,
    "duplicate": 0.001,
}


def discs(count: int, edge: int, rng: np.random.Generator, noise: float = 0.0) -> NDArray[Any]:
    """(count, edge, edge) images in [-1, 1]: a bright disc each, with noise."""
    y, x = np.mgrid[:edge, :edge]
    images = []
    for _ in range(count):
        cy, cx = edge / 2 + rng.normal(0, edge / 16, 2)
        inside = (y - cy) ** 2 + (1.4 * (x - cx)) ** 2 < (edge / 4) ** 2
        images.append(np.where(inside, 1.0, -1.0) + rng.normal(0, noise, (edge, edge)))
    return np.clip(np.stack(images), -1, 1)


@dataclass
class Material:
    """Builds a work folder and the `ReportData` about it."""

    root: Path
    experiment: Experiment = field(
        default_factory=lambda: Experiment.model_validate(
            {"name": "parotid", "arms": list(ARMS), "question": "Does GAN data raise the Dice?"}
        )
    )

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(7)
        self.work = WorkFolder(self.root / "work")
        self.specs = Specs(
            self.experiment, {"device": "cpu", "precision": "float32", "threads": 1}, EXTRACTOR
        )
        self.store = self.specs.prepare({"a" * 24: "train"})

    # --- jobs ---------------------------------------------------------------------------------

    def finish(self, spec: Spec, values: dict[str, Any], epoch: int | None = None) -> None:
        job = self.work.job(spec)
        job.open(spec)
        result = job.finish([], values, {}, {"seconds": 1.0}, spec.compute, epoch)
        # A fixed time: the page carries the date of the newest result.
        write_json(job.at(epoch) / "result.json", {**result, "finished": FINISHED})

    def record(self, spec: Spec, *names: str) -> None:
        """Have a finished job's result record further files of its folder."""
        job = self.work.job(spec)
        result = job.result()
        assert result is not None
        files = [job.path / name for name in (*result["outputs"], *names)]
        again = job.finish(files, result["values"], {}, result["cost"], spec.compute)
        write_json(job.path / "result.json", {**again, "finished": FINISHED})

    def train(self, spec: Spec, epochs: int, l1: bool, failed: bool = False) -> None:
        """A GAN training: losses, sample grids at five epochs, a checkpoint."""
        journal = Journal(self.work.job(spec).journal)
        for epoch in range(1, epochs + 1):
            share = epoch / epochs
            d = 1e-3 if failed and share > 0.3 else 0.4 + 0.3 / epoch + self.rng.normal(0, 0.03)
            g = 9.0 if failed and share > 0.3 else 2.0 + share + self.rng.normal(0, 0.1)
            values = {"train/d_loss": abs(d), "train/g_loss": g, "train/images_per_second": 300.0}
            if l1:
                values["train/l1"] = 0.3 * np.exp(-2 * share) + 0.05 + self.rng.normal(0, 0.004)
            journal.log(epoch, values)
        journal.close()
        for epoch in np.unique(np.linspace(1, epochs, 5).astype(int)):
            noise = 1.0 if failed else 0.8 * (1 - epoch / epochs)
            self._grid(spec, int(epoch), l1, noise)
        failure = {"failure": {"reason": "D loss stayed below 0.005", "onset": epochs // 3 + 1}}
        self.finish(
            spec,
            {"epoch": epochs, "converged": not failed, **(failure if failed else {})},
            epochs,
        )

    def _grid(self, spec: Spec, epoch: int, paired: bool, noise: float) -> None:
        samples = self.work.job(spec).samples
        crop = self.experiment.data.crop
        if paired:
            tiles = to_grey(discs(6, crop.frame_px, self.rng, noise))
            write_png(samples / f"mask-truth-prediction-{epoch:06d}.png", grid(tiles, 6))
        else:
            tiles = to_grey(discs(32, crop.mask_px, self.rng, noise))
            write_png(samples / f"samples-{epoch:06d}.png", grid(tiles, 8))

    def score(
        self, stage: str, training: Spec, epoch: int, failed: bool = False, word: str = ""
    ) -> Spec:
        """Scores; their verdict is `word`, or follows from `failed`."""
        settings = getattr(self.experiment, stage)
        spec = self.specs.score(self.store, settings, training, epoch)
        found = word or ("convergence failure" if failed else "healthy")
        kid = 0.6 if failed else 0.05 + 0.5 / epoch + abs(self.rng.normal(0, 0.01))
        values: dict[str, Any] = {
            "epoch": epoch,
            "n": 120,
            "extractor": EXTRACTOR["name"],
            "weights": EXTRACTOR["weights"],
            "converged": not failed,
            "collapse": verdict(found, RATIOS[found], 4 if failed else None),
            "quality/kid": kid,
            "quality/fid": 300 * kid,
        }
        if stage == "image":
            values |= {"quality/ssim": 0.4 + 0.2 * (1 - 1 / epoch), "quality/mae_hu": 31.5}
        self.finish(spec, values)
        return spec

    # --- stores -------------------------------------------------------------------------------

    def real_store(self, patients: int = 4, slices: int = 3) -> Path:
        """A store of training and test pairs; test CT is pure white, which no page may show."""
        crop = self.experiment.data.crop
        count = patients * slices
        rows = [
            PairRow(i, f"pt_{i // slices}", f"{i // slices:024d}",
                "test" if i < slices else "train", "parotid_left", "left", i,
                3.0 * i, False, 400, True, "{}")
            for i in range(count)
        ]  # fmt: skip
        ct, masks = self._pairs(count)
        ct[:slices] = 1.0
        folder = self.work.job(self.store).path / "store"
        meta = {"channels": ["parotid"], "patients": [], "kind": "real", "window_hu": [-324, 176]}
        write_store(folder, ct, masks, rows, meta | crop.model_dump())
        return folder

    def synthetic_store(self, spec: Spec) -> None:
        ct, masks = self._pairs(8)
        rows = [PairRow.synthetic(i, int(m.sum())) for i, m in enumerate(masks)]
        meta = {"channels": ["parotid"], "patients": [], "kind": "synthetic"}
        write_store(self.work.job(spec).path / "store", ct, masks, rows, meta)

    def _pairs(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        edge = self.experiment.data.crop.frame_px
        structures = discs(count, edge, self.rng) > 0
        smooth = ndimage.gaussian_filter(self.rng.normal(0, 1, (count, edge, edge)), (0, 4, 4))
        ct = np.clip(0.1 + 6 * 0.3 * smooth + 0.25 * structures, -1, 1)
        return ct[:, None].astype(np.float32), structures[:, None].astype(np.uint8)

    # --- plans --------------------------------------------------------------------------------

    def sweep(
        self,
        stage: str,
        trials: int = 6,
        seeds: int = 2,
        failing: int = 1,
        words: Mapping[tuple[int, int], str] = WORDS,
    ) -> SweepPlan:
        """A finished sweep; trial number `failing` has seeds that failed, others end with the
        verdict of their (trial, seed) in `words`, else healthy."""
        base = self.experiment.mask if stage == "mask" else self.experiment.image
        plan = SweepPlan(stage, f"{stage}-study", "quality/kid", "minimize", finished=True)
        for number in range(trials):
            params = {
                "batch_size": (6, 12, 16, 64, 128, 4)[number % 6],
                "optimiser.learning_rate": 2e-4 * 2 ** (number - 2),
                "schedule.epochs": (10, 20)[number % 2],
            }
            settings = base.model_validate(
                {
                    **to_dict(base),
                    "batch_size": params["batch_size"],
                    "optimiser": {"learning_rate": params["optimiser.learning_rate"]},
                    "schedule": {"epochs": params["schedule.epochs"]},
                }
            )
            plan.trials.append(
                self._trial(stage, number, params, settings, seeds, number == failing, words)
            )
        sound = [t.trial for t in plan.trials if not t.trial.failed_seeds]
        plan.best = min(sound, key=lambda t: (t.value, t.number)) if sound else None
        return plan

    def _trial(
        self,
        stage: str,
        number: int,
        params: dict[str, Any],
        settings: Any,
        seeds: int,
        failed: bool,
        words: Mapping[tuple[int, int], str],
    ) -> TrialRun:
        epochs = settings.schedule.epochs
        runs = []
        for seed in range(seeds):
            training = self.specs.stage(self.store, settings, seed)
            self.train(training, epochs, stage == "image", failed)
            last = "" if failed else words.get((number, seed), "")
            ends = {1: "mode collapse", 3: "", epochs: last}
            scores = {
                epoch: self.score(stage, training, epoch, failed, word)
                for epoch, word in ends.items()
            }
            result = self.work.job(scores[epochs]).result()
            runs.append(SeedRun(seed, Phases(training, epochs, epochs), scores, result))
        values = [run.result["values"]["quality/kid"] for run in runs if run.result]
        value = 1e6 if failed else float(np.mean(values))
        return TrialRun(
            Trial(number, params, value, seeds if failed else 0), settings, epochs, tuple(runs)
        )

    def verdicts(self, sweep: SweepPlan, sampler: str = "random") -> Verdicts:
        """The verdicts on a sweep's seeds."""
        found = sweep_verdicts(self.work, sweep, sampler)
        assert found is not None
        return found

    def comparison(self, replicates: int, failed: int = 0) -> ComparisonPlan:
        """A finished comparison; the first `failed` replicates' mask stages did not converge."""
        epochs = 12
        mask = self.experiment.mask.model_validate(
            {**to_dict(self.experiment.mask), "schedule": {"epochs": epochs}}
        )
        image = self.experiment.image.model_validate(
            {**to_dict(self.experiment.image), "schedule": {"epochs": epochs}}
        )
        plan = ComparisonPlan([], finished=True)
        for index in range(replicates):
            plan.replicates.append(self._chain(mask, image, 1000 + index, epochs, index < failed))
        trained = {
            name: segmenter
            for replicate in plan.replicates
            for name, segmenter in replicate.trained().items()
        }
        plan.opening = self.specs.opening(self.store, trained, {"arms": list(ARMS)})
        self.finish(plan.opening, {"extended": False})
        for name, reference in trained.items():
            arm, seed = name.rsplit("/", 1)
            plan.tests[arm, int(seed)] = self.specs.test_score(self.store, reference, plan.opening)
            measures = {
                "dice": {"a": 0.8 + GAIN[arm], "b": 0.7 + GAIN[arm]},
                "hd95_mm": {"a": 4.0, "b": 6.0 + int(seed) - 1000},
                "surface_dice": {"a": 0.9, "b": 0.8},
                "volume_error_ml": {"a": 1.5, "b": None},
            }
            self.finish(
                plan.tests[arm, int(seed)], {"patients": measures["dice"], "measures": measures}
            )
        return plan

    def _chain(self, mask: Any, image: Any, seed: int, epochs: int, failed: bool) -> Replicate:
        first, second = (self.specs.stage(self.store, each, seed) for each in (mask, image))
        self.train(first, epochs, False, failed)
        self.train(second, epochs, True)
        scores = {
            "mask": self.score("mask", first, epochs, failed),
            "image": self.score("image", second, epochs),
        }
        synthesis = self.specs.synthesis(self.store, first.done(epochs), second.done(epochs), seed)
        self.finish(
            synthesis,
            {
                "pairs": 280 if failed else 300,
                "tried": 700,
                "rejected": {"area outside training range": 90, "the mask is empty": seed - 990},
                "kept_implausible": False,
                "too_few": failed,
            },
        )
        self.synthetic_store(synthesis)
        segmenters = {}
        for arm in self.experiment.arms:
            extra = synthesis if arm_of(arm).filling == "gan" else None
            spec = self.specs.segmenter(self.store, arm, extra, seed)
            self._segment(spec, 0.8 + GAIN[arm])
            segmenters[arm] = spec
        stages = {"mask": Phases(first, epochs, epochs), "image": Phases(second, epochs, epochs)}
        ends = dict.fromkeys(segmenters, self.experiment.segmentation.epochs)
        return Replicate(seed, self.store, segmenters, ends, stages, scores, {"gan": synthesis})

    def _segment(self, spec: Spec, dice: float) -> None:
        epochs = self.specs.experiment.segmentation.epochs
        journal = Journal(self.work.job(spec).journal)
        for epoch in range(1, epochs + 1):
            value = dice * (1 - np.exp(-6 * epoch / epochs)) + self.rng.normal(0, 0.004)
            journal.log(epoch, {"validation/dice": value, "train/loss": 1.2 * (1 - value)})
        journal.close()
        self.finish(spec, {"epoch": epochs, "validation_dice": value}, epochs)

    def table(self, patients: list[str], plan: ComparisonPlan, spread: float = 0.01) -> Table:
        """Test Dice: arm's gain + patient + replicate + residual."""
        rng = np.random.default_rng(11)
        level = {p: 0.79 + rng.normal(0, 0.05) for p in patients}
        cells = []
        for replicate in plan.replicates:
            for arm in self.experiment.arms:
                shift = GAIN[arm] + rng.normal(0, spread / 3)
                for patient in patients:
                    value = level[patient] + shift + rng.normal(0, spread)
                    cells.append(Cell(patient, replicate.seed, arm, float(np.clip(value, 0, 1))))
        return Table(cells)

    # --- the whole ----------------------------------------------------------------------------

    def data(self, patients: int = 12, replicates: int = 5, **changes: Any) -> ReportData:
        """Everything finished, with the effects that the decision rule gives."""
        plan = changes.pop("comparison", None) or self.comparison(
            replicates, changes.pop("failed", 0)
        )
        names = [f"pt_{200 + i}" for i in range(patients)]
        table = self.table(names, plan)
        lines = [PatientLine(name, "test", ("parotid_left", "parotid_right")) for name in names]
        lines += [
            PatientLine(f"pt_{i}", "train" if i > 3 else "validation", ("parotid_right",), notes)
            for i, notes in ((1, ()), (2, ()), (4, ("parotid_left is not contoured",)), (5, ()))
        ]
        lines.append(PatientLine("pt_99", "", (), excluded="slice distances differ by 3.2 mm"))
        values: dict[str, Any] = {
            "experiment": self.experiment,
            "work": self.work,
            "config": to_dict(self.experiment),
            "patients": lines,
            "store": self.real_store(),
            "store_values": {
                "pairs": {"train": 812, "validation": 120},
                "structure_lost_to_crop": 0.0121,
            },
            "chosen": {"mask": {"trial": 5, "settings": {"batch_size": 4}}},
            "comparison": plan,
            "table": table,
            "effects": decide(table, self.experiment.decision, plan.extended),
            "provenance": [("code", "1a2b3c4"), ("machine", "2 cores, x86_64")],
            "ledger": {
                "mask-stage": {"jobs": 17, "seconds": 5400.0},
                "segmenter": {"jobs": 25, "seconds": 8000.0},
            },
            "mlflow": "`harness ui` with this experiment opens the runs.",
        }
        if "sweeps" not in changes:
            values["sweeps"] = (self.sweep("mask"), self.sweep("image", trials=4))
        if "verdicts" not in changes:
            swept = changes.get("sweeps", values.get("sweeps", ()))
            values["verdicts"] = tuple(self.verdicts(sweep) for sweep in swept)
        return ReportData(**{**values, **changes})


@contextlib.contextmanager
def in_memory() -> Iterator[Material]:
    """Material in memory: hundreds of results would wait for the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Material(Path(name))
