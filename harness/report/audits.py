"""The audits of the replicates: scores beside real-real baselines, verdicts, copies, labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.base.text import short
from harness.figures.pictures import read_picture
from harness.report.data import ReportData
from harness.report.picture_budget import Picture, PictureBudget

SHOWN = {"mask": "Masks", "ct": "CT"}
GALLERY_BYTES = 60_000
JUDGED = (
    "Judged here are the pairs that synthesis kept, their masks cleaned and found plausible; a "
    "stage's own verdict is on what its network draws, so the two may differ."
)
NAMES = {
    "kid": "KID",
    "kid_by_patient": "KID without pairs of one patient",
    "fid": "FID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
PAIRED = {
    "mae_hu": "mean absolute error, frame (HU)",
    "mae_hu_structure": "mean absolute error, structure (HU)",
    "ssim": "SSIM, frame",
    "ssim_structure": "SSIM, structure",
    "ms_ssim_4": "MS-SSIM (4 scales), frame",
    "psnr_db": "PSNR, frame (dB)",
}


@dataclass(frozen=True)
class AuditLine:
    """One score: its name, baseline, and value with interval of each replicate."""

    name: str
    baseline: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class AuditTable:
    """One extractor's scores of one kind of image; `beside` names the row of baselines."""

    title: str
    lines: list[AuditLine]
    beside: str = "real-real baseline"


@dataclass(frozen=True)
class Audits:
    """The section; empty before an audit finished.

    Attributes:
        verdicts: (replicate, "Masks" or "CT", what the audit says of these).
    """

    replicates: tuple[int, ...] = ()
    judged: str = JUDGED
    verdicts: list[tuple[int, str, Mapping[str, Any]]] = field(default_factory=list)
    tables: list[AuditTable] = field(default_factory=list)
    galleries: list[Picture] = field(default_factory=list)


def make_audits(data: ReportData, budget: PictureBudget) -> Audits:
    """From the values of the finished audits, by replicate."""
    audits = dict(sorted(data.audits.items()))
    if not audits:
        return Audits()
    verdicts = [
        (seed, word, values[shows])
        for seed, values in audits.items()
        for shows, word in SHOWN.items()
        if shows in values
    ]
    tables = [table for shows in SHOWN for table in _fidelity(audits, shows)]
    tables += [_labels(audits), _shapes(audits), _paired(audits)]
    return Audits(
        tuple(audits),
        verdicts=verdicts,
        tables=[t for t in tables if t.lines],
        galleries=_galleries(data, audits, budget),
    )


def _fidelity(audits: Mapping[int, Any], shows: str) -> list[AuditTable]:
    blocks = [values[shows]["scores"] for values in audits.values() if shows in values]
    if not blocks or len(blocks) < len(audits):
        return []
    tables = []
    for places in zip(*blocks, strict=True):
        first, extractor = places[0], places[0]["extractor"]
        lines = [
            _line(
                words,
                (block["scores"][name] for block in places),
                _baseline(first["real_baselines"][name]),
            )
            for name, words in NAMES.items()
        ]
        n = first["scores"]["kid"]["n"]
        title = (
            f"{SHOWN[shows]}, features of {extractor['name']} (weights "
            f"{extractor['weights'][:12]}, n = {n} a side, {extractor['preprocessing']})"
        )
        tables.append(AuditTable(title, lines))
    return tables


def _line(words: str, scores: Iterable[Mapping[str, Any]], baseline: str = "") -> AuditLine:
    return AuditLine(words, baseline, tuple(map(_score, scores)))


def _score(score: Mapping[str, Any]) -> str:
    """Value and interval; the reason where there is no value."""
    if score["value"] is None:
        return f"not a number: {score['note']}"
    if score["interval"] is None:
        return short(score["value"])
    return f"{short(score['value'])} ({_ends(*score['interval'])})"


def _baseline(baseline: Mapping[str, Any]) -> str:
    if baseline["mean"] is None:
        return f"none: {baseline['note']}"
    ends = _ends(baseline["p05"], baseline["p95"])
    return f"{short(baseline['mean'])} ({ends}; n = {baseline['n']})"


def _ends(low: float, high: float) -> str:
    return f"{short(low)} to {short(high)}"


def _labels(audits: Mapping[int, Any]) -> AuditTable:
    found = [values["labels"] for values in audits.values()]
    if any("synthetic" not in labels for labels in found):
        return AuditTable("", [])
    line = _line(
        "Dice between the label and a segmenter trained on real patients",
        (labels["synthetic"] for labels in found),
        _score(found[0]["real"]),
    )
    gain = _line(
        "gain over the Dice with the next image's label", (labels["gain"] for labels in found)
    )
    return AuditTable("Fit of the labels", [line, gain], "validation patients")


def _shapes(audits: Mapping[int, Any]) -> AuditTable:
    found = [values["masks"] for values in audits.values()]
    lines = [_line("share of implausible masks", (masks["implausible"] for masks in found))]
    for name in found[0]["distances"]:
        if name.endswith("_in_sd"):
            words = name.removesuffix("_in_sd").replace("_", " ")
            lines.append(_line(words, [masks["distances"][name] for masks in found]))
    title = (
        "Shapes of masks: Wasserstein distance to validation masks, in their standard deviations"
    )
    return AuditTable(title, lines)


def _paired(audits: Mapping[int, Any]) -> AuditTable:
    found = [values["paired"] for values in audits.values()]
    if any("note" in paired for paired in found):
        return AuditTable("", [])
    lines = [_line(words, [paired[name] for paired in found]) for name, words in PAIRED.items()]
    return AuditTable("Image stage on validation masks, against the true CT", lines)


def _galleries(data: ReportData, audits: Mapping[int, Any], budget: PictureBudget) -> list[Picture]:
    """Synthetic images above their nearest training images."""
    pictures = []
    for seed in audits:
        for shows, word in SHOWN.items():
            path = data.audit_folders[seed] / "samples" / f"closest-{shows}-000000.png"
            if path.exists():
                caption = f"Replicate {seed}, {word}"
                alt = f"{caption}: synthetic images above their nearest training images"
                pictures.append(budget.image(read_picture(path), alt, caption, GALLERY_BYTES))
    return pictures
