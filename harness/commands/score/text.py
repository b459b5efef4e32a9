"""The answer of `harness score` as a table that people read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from harness.base.text import DASH, aligned, short
from harness.metrics.records import record_of

_TITLES = {
    "mae": "mean absolute error, of [0, 1]",
    "mae_in_window_units": "mean absolute error, window units",
}


def show(text: str) -> None:
    """Print to stdout, at once: progress on stderr comes after it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The answer line by line; the assumption about patients is not repeated."""
    for side in ("real", "synthetic", "heldout"):
        about = found[side]
        if about is not None:
            height, width = about["size_px"]
            people = f" of {about['patients']} patients" if about["patients"] else ""
            yield (
                f"{side:9s} {about['images']} {about['kind']} images{people}, {height} x {width}"
                f"  {about['folder']}"
            )
    for block in found["extractors"]:
        yield ""
        yield from _block(block)
    yield ""
    yield f"collapse ({found['collapse']['images']}): {found['collapse']['sentence']}"
    judged = found["memorisation"]
    if judged:
        yield f"memorisation (coarse pixels): {judged['sentence']}"
        if "gallery" in judged:
            yield f"closest pairs: {judged['gallery']}"
    synthetic, real = (found["ssim_diversity"][side] for side in ("synthetic", "real"))
    yield (
        f"SSIM diversity: {short(synthetic['value'])}, real {short(real['value'])} "
        f"(n = {synthetic['n']} a side)"
    )
    if found["paired"]:
        yield ""
        yield from _paired(found["paired"])


def _block(block: Mapping[str, Any]) -> Iterator[str]:
    yield f"{block['name']} (weights {block['weights']}; {block['preprocessing']})"
    yield f"n = {block['real']} real, {block['synthetic']} synthetic"
    n = next(iter(block["scores"].values()))["baseline"]["n"]
    at_n = f"at n = {n}" if n else "at baseline's n"
    rows = [("score", "value", "95 % interval", at_n, "real-real mean", "95 % of real-real")]
    for name, score in block["scores"].items():
        ends = score["interval"]
        rows.append(
            (
                _title(name),
                short(score["value"]),
                DASH if ends is None else f"{short(ends[0])} to {short(ends[1])}",
                short(score["at_baseline_n"]),
                short(score["baseline"]["mean"]),
                _mark(name, score["baseline"]),
            )
        )
    yield from aligned(rows)
    yield from _notes(block["scores"])


def _paired(paired: Mapping[str, Any]) -> Iterator[str]:
    left = paired["real_without_pair"]
    without = f"; {left} real images have none" if left else ""
    yield f"{paired['pairs']} pairs by name{without}"
    yield from aligned(
        [("mean over pairs", "value")]
        + [(_title(name), short(score["value"])) for name, score in paired["scores"].items()]
    )
    yield from _notes(paired["scores"])


def _title(name: str) -> str:
    record = record_of(name)
    if record is None:
        return _TITLES.get(name, name)
    return f"{record.title}, {record.unit}" if record.unit else record.title


def _mark(name: str, baseline: Mapping[str, Any]) -> str:
    """What 95 of 100 splits of real patients reach."""
    if baseline["mean"] is None:
        return DASH
    record = record_of(name)
    if record is not None and record.better == "low":
        return f"<= {short(baseline['p95'])}"
    return f">= {short(baseline['p05'])}"


def _notes(scores: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Caveats and reasons, each once, with the scores that they are about."""
    about: dict[str, list[str]] = {}
    for name, score in scores.items():
        baseline = score.get("baseline", {}).get("note")
        found = [score["note"]] if score["note"] else []
        # One reason is enough where score and baseline share it.
        found += [f"real-real: {baseline}"] if baseline and baseline != score["note"] else []
        for note in found:
            about.setdefault(note, []).append(_title(name))
    for note, names in about.items():
        yield f"  {', '.join(names)}: {note}"
