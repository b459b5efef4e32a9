"""`metrics`: what scoring costs, as a share of a training of the thesis's length; and how fast
features and the Frechet distance are beside their packages (targets 2.5 and 10 times).

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

import numpy as np
import torch

from harness.commands.compute import resolve_here
from harness.commands.costs.score_timing import SHARE, make_stage, timed_score
from harness.config.metrics import MetricsConfig
from harness.config.stages import DcganConfig, Pix2pixConfig
from harness.data.pairs.store import Store
from harness.metrics.extractors.guard import guard_torchvision
from harness.metrics.extractors.registry import identify, make_extractor
from harness.metrics.extractors.weights import load_lite0
from harness.metrics.fidelity.kid_fid import frechet
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
    fast = [_extraction(asked.repeats), _frechet(asked.repeats)]
    with tempfile.TemporaryDirectory() as root:
        pairs = Tiny(Path(root), experiment, ROLES, slices=24)
        shares = [_stage(stage, precision, asked, specs, pairs) for stage in settings]
    return int(max(shares) > SHARE or not all(fast))


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


def _extraction(repeats: int) -> bool:
    """Features of the network that comes with its package, as we apply it and as it is."""
    ours, plain = make_extractor("efficientnet-lite0"), load_lite0().eval()
    images = np.random.default_rng(0).random((64, 1, FRAME_PX, FRAME_PX), np.float32)

    def as_it_is() -> None:
        with torch.inference_mode():
            for part in torch.from_numpy(images).split(16):
                grey = ((part - 0.498) / 0.502).expand(-1, 3, -1, -1)
                plain.extract_features(grey).mean(dim=(2, 3))

    return _ratio("features of efficientnet-lite0", lambda: ours(images), as_it_is, repeats, 2.5)


def _frechet(repeats: int) -> bool:
    guard_torchvision()
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    x, y = np.random.default_rng(0).normal(size=(2, 300, 2048))

    def of_the_package() -> None:
        sides = [fid_features_to_statistics(torch.from_numpy(side)) for side in (x, y)]
        fid_statistics_to_metric(*sides, verbose=False)

    what = "Frechet distance, 2048 features of 300 images"
    return _ratio(what, lambda: frechet(x, y), of_the_package, repeats, 10)


def _ratio(
    what: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    repeats: int,
    target: float,
) -> bool:
    ours(), theirs()
    calls = {"ours": lambda: _seconds(ours), "theirs": lambda: _seconds(theirs)}
    timed = _interleaved(calls, repeats)
    ratio = timed["theirs"] / timed["ours"]
    word = "" if ratio >= target else "   MISSED"
    print(f"{what}: {timed['ours']:.3f} s, {ratio:.1f} times its package; target {target}{word}")
    return ratio >= target


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
