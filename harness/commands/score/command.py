"""`harness score`: every score of two sets of images, without an experiment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.console import Console
from harness.base.files import csv_text, without_nan, write_json, write_text
from harness.base.progress import JobProgress
from harness.commands.output_folder import unwritable
from harness.commands.score.copies import GALLERY, judge_copies
from harness.commands.score.features import score_features
from harness.commands.score.image_set import ImageSet
from harness.commands.score.pixels import judge_diversity, score_diversity, score_pairs
from harness.commands.score.request import (
    WRITABLE,
    ScoreRequest,
    check,
    drawn_sets,
    extractor_names,
    read_sets,
)
from harness.metrics.extractors.registry import Extractor, make_extractor

DIGEST_DIGITS = 12
INDEPENDENT = (
    "each real image counts as independent, for nothing says whose it is: if several are of one "
    "patient, intervals are too narrow; type --patients"
)

COLUMNS = (
    *("extractor", "score", "value", "low", "high", "n", "units", "at_baseline_n", "baseline_mean"),
    *("baseline_p05", "baseline_p95", "baseline_n", "note"),
)
PART = 64
"""Images between two signs of progress; a multiple of the extractors' chunk, which no feature
depends on."""


def score_sets(
    request: ScoreRequest, console: Console, first_line: Callable[[str], None]
) -> dict[str, Any]:
    """Read, score, write score.json and scores.csv; the answer as plain data.

    Args:
        request: what was typed.
        console: notes and progress.
        first_line: is given what is assumed about patients, before anything else is said.

    Raises:
        ConfigError: an option breaks a rule.
        DataError: a folder, file or table does.
        EnvironmentFault: an extractor's weights are missing.
    """
    check(request)
    (request.output / GALLERY).unlink(missing_ok=True)
    names = extractor_names(request)
    sets = read_sets(request)
    known = sets.real.patients is not None
    first_line(
        f"patients: {sets.real.counted()} on the real side" if known else f"patients: {INDEPENDENT}"
    )
    real, synthetic, notes = drawn_sets(sets, request)
    for note in notes:
        console.warn(note)
    found: dict[str, Any] = {
        "real": _described(sets.real),
        "synthetic": _described(sets.synthetic),
        "heldout": None if sets.heldout is None else _described(sets.heldout),
        "window": request.window,
        "seed": request.seed,
        "assumed": None if known else INDEPENDENT,
        "notes": notes,
        "collapse": judge_diversity(real, synthetic, request.seed),
        "ssim_diversity": score_diversity(real, synthetic, request.seed),
        # Every training image: a copy of one that was not drawn is a copy.
        "memorisation": (
            None
            if sets.heldout is None
            else judge_copies(sets.real, sets.heldout, synthetic, request.output, request.seed)
        ),
        "paired": (
            score_pairs(sets.real, sets.synthetic, request.window) if request.paired else None
        ),
    }
    with console.progress(len(names)) as progress:
        found["extractors"] = [
            _with_extractor(name, (real, synthetic), request, progress) for name in names
        ]
    return _written(found, request.output)


def _described(images: ImageSet) -> dict[str, Any]:
    return {
        "folder": str(images.folder),
        "kind": images.kind,
        "images": len(images),
        "size_px": list(images.images.shape[1:]),
        "patients": None if images.patients is None else len(set(images.patients)),
    }


def _with_extractor(
    name: str, scored: tuple[ImageSet, ImageSet], request: ScoreRequest, progress: JobProgress
) -> dict[str, Any]:
    import torch

    real, synthetic = scored
    progress.start(name, f"features, {name}", len(real) + len(synthetic))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = make_extractor(name, request.files, device)
    features = (
        _features(network, real, lambda done: progress.update(name, done)),
        _features(network, synthetic, lambda done: progress.update(name, len(real) + done)),
    )
    progress.update(name, len(real) + len(synthetic), "scores")
    lines = score_features(*features, real.patients, synthetic.patients, request.seed)
    block: dict[str, Any] = {
        "name": network.name,
        "weights": network.weights_digest[:DIGEST_DIGITS],
        "preprocessing": network.preprocessing,
        "real": len(real),
        "synthetic": len(synthetic),
        "scores": {key: line.to_dict() for key, line in lines.items()},
    }
    progress.finish(name)
    return block


def _features(
    network: Extractor, images: ImageSet, tell: Callable[[int], None]
) -> NDArray[np.float32]:
    """n x d, in parts; `tell` is given how many are done."""
    parts = []
    for start in range(0, len(images), PART):
        parts.append(network(images.images[start : start + PART, None]))
        tell(start + len(parts[-1]))
    return np.concatenate(parts)


def _written(found: dict[str, Any], output: Path) -> dict[str, Any]:
    """Write both files; the answer knows where they are."""
    found = without_nan({**found, "output": str(output)})
    try:
        write_json(output / "score.json", found)
        write_text(output / "scores.csv", _table(found))
    except OSError as error:
        raise unwritable("--output", WRITABLE, output, error) from error
    return found


def _table(found: dict[str, Any]) -> str:
    groups = [(block["name"], block["scores"]) for block in found["extractors"]]
    groups.append(("", {f"ssim_diversity_{k}": v for k, v in found["ssim_diversity"].items()}))
    groups.append(("", (found["paired"] or {}).get("scores", {})))
    rows: list[dict[str, Any]] = []
    for extractor, scores in groups:
        for name, score in scores.items():
            low, high = score["interval"] or (None, None)
            row = {"extractor": extractor, "score": name, "low": low, "high": high, **score}
            row |= {f"baseline_{key}": value for key, value in score.get("baseline", {}).items()}
            rows.append(row)
    return csv_text(COLUMNS, ([row.get(name) for name in COLUMNS] for row in rows))
