"""`harness export nnunet`: what an experiment's segmenters learn from, as an nnU-Net v2 dataset.

Training patients and, of an arm that has some, the pairs that were generated for it are nnU-Net's
training cases; validation patients lie beside them. Test patients stay out until the experiment's
own test was opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.errors import ConfigError
from harness.base.text import meant
from harness.commands import steps
from harness.commands.export.cases import generated_cases, real_cases, safe_name, scan_cases
from harness.commands.export.folder import ENDING, CaseWriter, free_place
from harness.commands.export.folds import deal, split
from harness.commands.export.generated import GeneratedPairs, find_generated, need_opening
from harness.commands.output_folder import appearing
from harness.commands.session import Session
from harness.commands.work_folder import folder_mode
from harness.config.arms import arm_of
from harness.config.experiment import Experiment
from harness.data.pairs.store import Store


@dataclass(frozen=True)
class ExportRequest:
    """What was typed.

    Attributes:
        output: the folder that nnU-Net calls nnUNet_raw.
        arm: whose generated pairs go with the training patients; None or an arm without: none.
        replicate: whose generated pairs; None: the first replicate's.
        dataset_id: nnU-Net's number of the dataset.
        folds: of `splits_final.json`.
        test: export the test patients too.
    """

    output: Path
    arm: str | None = None
    replicate: int | None = None
    dataset_id: int = 501
    folds: int = 5
    test: bool = False


def export_nnunet(session: Session, request: ExportRequest) -> dict[str, Any]:
    """Write the dataset; plain data: paths, counts, shares.

    Raises:
        ConfigError: an option breaks a rule.
        DataError: too few training patients for the folds, or pairs that are not generated yet.
        RuleError: test patients before the opening, or pairs of a GAN that saw others than
            training patients.
    """
    _check(session.experiment, request)
    name = dataset_name(session.experiment.name, request)
    place = free_place(request.output, name)
    steps.prepared(session)
    store = Store.open(session.work.job(session.store).verified() / "store")
    generated = find_generated(session, request.arm, request.replicate)
    if request.test:
        need_opening(session)
    folds = deal(
        (store.rows[row].patient_digest for row in store.select(role="train")),
        request.folds,
        session.experiment.seed,
    )
    return _write(session, request, place, store, generated, folds)


def dataset_name(experiment: str, request: ExportRequest) -> str:
    """nnU-Net's name of the dataset: its number, the experiment and the arm."""
    parts = [experiment, request.arm or ""]
    if request.replicate is not None:
        parts.append(str(request.replicate))
    return f"Dataset{request.dataset_id:03d}_" + "-".join(filter(None, map(safe_name, parts)))


def _check(experiment: Experiment, request: ExportRequest) -> None:
    """What can be refused before anything is read."""
    arm = request.arm
    if arm is not None and arm not in experiment.arms:
        hint = meant(arm, experiment.arms, "; name one of them")
        raise ConfigError(
            f"--arm must be one of the experiment's: {', '.join(experiment.arms)}; but got "
            f"'{arm}'{hint}"
        )
    if arm is not None and arm_of(arm).order == "first":
        raise ConfigError(
            f"an exported arm must be one training set, but got '{arm}', which trains on two in "
            "turn; export its pairs alone (synthetic-only) and traditional, and hand the first "
            "training's weights to the second with nnUNetv2_train -pretrained_weights"
        )
    if arm is not None and arm_of(arm).order == "added":
        raise ConfigError(
            f"an exported arm must be one training set, but got '{arm}', whose added pairs have a "
            f"loss of their own; export '{arm.removesuffix(':added')}', which mixes them"
        )
    if arm is not None and arm_of(arm).pairs.not_exported:
        raise ConfigError(
            f"an exported arm must have labels that belong to its images, but got '{arm}', "
            f"{arm_of(arm).pairs.not_exported}; name another arm"
        )
    first, count = experiment.replicates.seed, experiment.replicates.count
    if request.replicate is None:
        return
    if arm is None or not arm_of(arm).pairs.stages:
        raise ConfigError(
            "--replicate says whose GAN generated the pairs of an arm, but got "
            f"{request.replicate} with {f'--arm {arm}, which has none' if arm else 'no --arm'}; "
            "leave it out, or name an arm with GAN-generated pairs"
        )
    if not first <= request.replicate < first + count:
        raise ConfigError(
            f"--replicate must be one of the experiment's, {first} to {first + count - 1}, but got "
            f"{request.replicate}; name one of them"
        )


def _write(
    session: Session,
    request: ExportRequest,
    place: Path,
    store: Store,
    generated: GeneratedPairs | None,
    folds: Mapping[str, int],
) -> dict[str, Any]:
    known = len(store.rows) + (len(generated.store.rows) if generated else 0)
    mode = folder_mode(session.experiment)
    output = appearing(place, "--output", place.parent, mode)
    with output as part, session.console.progress() as progress:
        progress.start("export", "write cases", None if request.test else known)
        writer = CaseWriter(part, store.meta, lambda done: progress.update("export", done))
        real = writer.write("Tr", "train", real_cases(store, "train"), folds)
        others = (
            writer.write("Tr", generated.name, generated_cases(generated.store, generated.name), {})
            if generated
            else {}
        )
        held = writer.write("Ts", "validation", real_cases(store, "validation"), {})
        tests = writer.write("Test", "test", scan_cases(store, "test"), {}) if request.test else {}
        splits = split(real, others, folds, generated is not None and generated.alone)
        writer.finish(splits, _dataset(session, request, place.name, store, generated, len(real)))
        progress.finish("export", f"{len(writer.rows)} cases")
    groups = {"train": real, "generated": others, "validation": held, "test": tests}
    return {
        "dataset": str(place),
        "name": place.name,
        "id": request.dataset_id,
        "splits": str(place / "splits_final.json"),
        "cases": {group: len(of) for group, of in groups.items()},
        "patients": {g: len(set(of.values())) for g, of in groups.items() if g != "generated"},
        "folds": [{part: len(cases) for part, cases in fold.items()} for fold in splits],
        "arm": request.arm,
        "generated": _generated_to_dict(generated, splits, others) if generated else None,
        "labels": _labels(store),
        "window_hu": list(store.meta["window_hu"]),
        "legacy_scaling": bool(store.meta["legacy_scaling"]),
        "overlapping_pixels": writer.overlaps,
    }


def _generated_to_dict(
    generated: GeneratedPairs, splits: list[dict[str, list[str]]], others: Mapping[str, str]
) -> dict[str, Any]:
    """Whose generated pairs, and their share here and in the arm's own batches."""
    return {
        "name": generated.name,
        "replicate": generated.replicate,
        "share_of_batches": generated.share,
        "share_of_cases": [len(others) / len(fold["train"]) for fold in splits],
    }


def _labels(store: Store) -> dict[str, int]:
    return {"background": 0, **{name: n for n, name in enumerate(store.channels, 1)}}


def _dataset(
    session: Session,
    request: ExportRequest,
    name: str,
    store: Store,
    generated: GeneratedPairs | None,
    real: int,
) -> dict[str, Any]:
    """`dataset.json`; nnU-Net reads the first four entries."""
    return {
        "channel_names": {"0": "CT"},
        "labels": _labels(store),
        "numTraining": real + (len(generated.store.rows) if generated else 0),
        "file_ending": ENDING,
        "name": name,
        "harness": {
            "experiment": session.experiment.name,
            "arm": request.arm,
            "replicate": generated.replicate if generated else None,
            "store": session.store.digest,
            "generated": generated.spec.digest if generated else None,
            "window_hu": list(store.meta["window_hu"]),
            "spacing_mm": store.meta["spacing_mm"],
            "mirrored": store.meta["mirror"] is True,
            "legacy_scaling": bool(store.meta["legacy_scaling"]),
        },
    }
