"""`metrics`: what scoring costs, as a share of a training of the thesis's length.

Updates and the pieces of a score are timed in turn in one process, so that other load on the
machine falls on both sides alike; images are generated, no patients are needed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from harness.commands.costs.score_timing import SHARE, make_stage, pieces_of_score
from harness.config.experiment import ComputeConfig, MetricsConfig
from harness.config.stages import ImageStageConfig, MaskStageConfig
from harness.metrics.extractors.registry import make_extractor
from harness.training.precision import Precision, resolve
from harness.training.schedule import scored_epochs

EPOCHS = 300
PER_EPOCH = 188
"""Images, or pairs, of an epoch of the thesis."""

FRAME_PX = 128
REAL = 1500
"""Real images that a verdict on collapse compares with (its most)."""


def main(options: Sequence[str]) -> int:
    """Print a table for each stage; 1 if scoring takes more than its budget on either."""
    asked = _asked(options)
    found = resolve(ComputeConfig(threads=1))
    precision = Precision.of(vars(found))
    print(
        f"{found.device}, {found.precision}, {found.threads} thread, extractor {asked.extractor}, "
        f"n = {asked.images}, width {asked.width}; medians of {asked.repeats} interleaved rounds"
    )
    settings = MaskStageConfig(width=asked.width), ImageStageConfig(width=asked.width)
    shares = [_stage(stage, precision, asked) for stage in settings]
    return int(max(shares) > SHARE)


def _asked(options: Sequence[str]) -> argparse.Namespace:
    defaults = MetricsConfig()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks metrics")
    parser.add_argument("--width", type=int, default=64, help="of both stages; 64 is the thesis's")
    parser.add_argument("--images", type=int, default=defaults.images, help="images a side")
    parser.add_argument("--scored-epochs", type=int, default=defaults.scored_epochs)
    parser.add_argument("--extractor", default="efficientnet-lite0")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of all pieces")
    return parser.parse_args(options)


def _stage(settings: Any, precision: Precision, asked: argparse.Namespace) -> float:
    """Print one stage's table; its share."""
    stage, batch = make_stage(settings, 1, FRAME_PX, precision)
    extractor = make_extractor(asked.extractor, device=precision.device)
    pieces = pieces_of_score(stage, extractor, asked.images, REAL, 1, FRAME_PX)
    work: dict[str, Callable[[], object]] = {"an update": lambda: stage.step(batch)}
    work |= {name: piece.seconds for name, piece in pieces.items()}
    for piece in pieces.values():
        piece.warm_up()
    stage.step(batch)
    timed = _interleaved(work, asked.repeats)
    updates = EPOCHS * -(-PER_EPOCH // settings.batch_size)
    scores = len(scored_epochs(EPOCHS, asked.scored_epochs))
    training = updates * timed.pop("an update")
    name = "mask" if isinstance(settings, MaskStageConfig) else "image"
    print(
        f"\n{name} stage: {EPOCHS} epochs of {PER_EPOCH} at batch {settings.batch_size} = "
        f"{updates} updates of {1000 * training / updates:.0f} ms = {training:.0f} s; "
        f"{scores} scores\n"
    )
    print("| piece | s a score | share of the training |")
    print("|---|---|---|")
    for piece, seconds in timed.items():
        print(f"| {piece} | {seconds:.2f} | {100 * scores * seconds / training:.2f} % |")
    whole = sum(timed.values())
    share = scores * whole / training
    word = "pass" if share <= SHARE else "FAIL"
    print(f"| **total** | {whole:.2f} | **{100 * share:.1f} %** (budget 10 %: {word}) |")
    return share


def _interleaved(work: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each piece; an update is timed before every piece of every round."""
    timed: dict[str, list[float]] = {name: [] for name in work}
    update = work["an update"]
    for _ in range(repeats):
        for name, run in work.items():
            timed["an update"].append(_seconds(update))
            if name != "an update":
                timed[name].append(_seconds(run))
    return {name: median(seconds) for name, seconds in timed.items()}


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
