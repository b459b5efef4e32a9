"""`metrics`: what scoring costs, as a share of a training of the thesis's length.

Updates and scores of fresh weights are timed in turn in one process, so that other load on the
machine falls on both sides alike; pairs are drawn, no patients are needed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from harness.commands.compute import resolve_here
from harness.commands.costs.score_timing import SHARE, make_stage, timed_score
from harness.config.experiment import MetricsConfig
from harness.config.stages import DcganConfig, Pix2pixConfig
from harness.data.pairs.store import Store
from harness.metrics.extractors.registry import identify
from harness.training.precision import Precision
from harness.training.schedule import scored_epochs
from harness.work.specs import Specs
from tests.factories.tiny import Tiny, tiny_experiment

EPOCHS = 300
PER_EPOCH = 188
"""Images, or pairs, of an epoch of the thesis."""

FRAME_PX = 128
ROLES = ("train",) * 52 + ("validation",) * 14
"""Of patients with 24 slices: more than the 1500 real images that a verdict compares with."""


def main(options: Sequence[str]) -> int:
    """Print a table for each stage; 1 if scoring takes more than its budget on either."""
    asked = _asked(options)
    compute = {**resolve_here(), "precision": asked.precision}
    precision = Precision.of(compute)
    print(
        f"{compute['device']}, {asked.precision}, {compute['threads']} thread, "
        f"extractor {asked.extractor}, n = {asked.images}, width {asked.width}; "
        f"medians of {asked.repeats} interleaved rounds"
    )
    settings = DcganConfig(width=asked.width), Pix2pixConfig(width=asked.width)
    experiment = tiny_experiment(
        data={"crop": {"frame_px": FRAME_PX}}, metrics={"images": asked.images}
    )
    extractor = identify(asked.extractor)
    described = {"name": extractor.name, "weights": extractor.weights_digest}
    specs = Specs(experiment, compute, described)
    with tempfile.TemporaryDirectory() as root:
        pairs = Tiny(Path(root), experiment, ROLES, slices=24)
        shares = [_stage(stage, precision, asked, specs, pairs) for stage in settings]
    return int(max(shares) > SHARE)


def _asked(options: Sequence[str]) -> argparse.Namespace:
    defaults = MetricsConfig()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks metrics")
    parser.add_argument("--width", type=int, default=64, help="of both stages; 64 is the thesis's")
    parser.add_argument("--precision", default="bfloat16", help="of the networks")
    parser.add_argument("--images", type=int, default=defaults.images, help="images a side")
    parser.add_argument("--scored-epochs", type=int, default=defaults.scored_epochs)
    parser.add_argument("--extractor", default="efficientnet-lite0")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of an update and a score")
    return parser.parse_args(options)


def _stage(
    settings: Any, precision: Precision, asked: argparse.Namespace, specs: Specs, pairs: Tiny
) -> float:
    """Print one stage's table; its share."""
    store = Store.open(pairs.store_folder)
    stage, batch = make_stage(settings, store, precision)
    fresh = make_stage(settings, store, precision)[0].weights()
    work: dict[str, Callable[[], float]] = {
        "an update": lambda: _seconds(lambda: stage.step(batch)),
        "a score": lambda: timed_score(pairs.work, specs, pairs.store, settings, fresh, {}),
    }
    stage.step(batch)
    timed = _interleaved(work, asked.repeats)
    updates = EPOCHS * -(-PER_EPOCH // settings.batch_size)
    scores = len(scored_epochs(EPOCHS, asked.scored_epochs))
    training = updates * timed.pop("an update")
    print(
        f"\n{settings.stage} stage: {EPOCHS} epochs of {PER_EPOCH} at batch "
        f"{settings.batch_size} = {updates} updates of "
        f"{1000 * training / updates:.0f} ms = {training:.0f} s; "
        f"{scores} scores\n"
    )
    whole = timed["a score"]
    share = scores * whole / training
    word = "pass" if share <= SHARE else "FAIL"
    print(f"a score takes {whole:.2f} s: {100 * share:.1f} % of the training (budget 10 %: {word})")
    return share


def _interleaved(work: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Median seconds of each, timed in turn."""
    timed: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, measure in work.items():
            timed[name].append(measure())
    return {name: median(seconds) for name, seconds in timed.items()}


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
