"""MLflow's pages as people see them: a sweep of three trials and two seeds in a real browser."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from harness.records.journal import Journal, mark_covered
from harness.records.view import Feed, RunView
from harness.training.pictures import grid, write_png

pytestmark = pytest.mark.browser
CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGE_MS = 45_000
EPOCHS = 60
SWEEP = ("sweep-mask",)


def ellipses(epoch: int, seed: int) -> np.ndarray:
    """Gland-like blobs (16, 64, 64) that get sharper with the epoch."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1:1:64j, -1:1:64j]
    sheets = []
    for _ in range(16):
        tilt, long, short = rng.uniform(0, math.pi), rng.uniform(0.4, 0.7), rng.uniform(0.2, 0.35)
        along = rows * math.cos(tilt) + columns * math.sin(tilt)
        across = columns * math.cos(tilt) - rows * math.sin(tilt)
        edge = 1 - np.hypot(along / long, across / short)
        noise = rng.normal(0, 3.0 / epoch, edge.shape)
        sheets.append(255 / (1 + np.exp(-(1 + epoch / 2) * (edge + noise))))
    return np.stack(sheets).astype(np.uint8)


def train(folder: Path, trial: int, seed: int) -> None:
    rng = np.random.default_rng(100 * trial + seed)
    journal = Journal(folder / "journal.jsonl")
    for epoch in range(1, EPOCHS + 1):
        fall = math.exp(-epoch / (10 + 5 * trial))
        values = {
            "train/d_loss": 0.3 + 0.4 * fall + rng.normal(0, 0.02),
            "train/g_loss": 1.5 + (1 - fall) + rng.normal(0, 0.05),
            "train/learning_rate": 2e-4,
            "train/images_per_second": 110 + rng.normal(0, 3),
        }
        if epoch % 10 == 0:
            values["quality/kid"] = 0.02 * trial + 0.3 * fall + abs(rng.normal(0, 0.004))
            values["quality/area_ratio"] = 1 + 0.5 * fall
        journal.log(epoch, values)
        if epoch % 15 == 0 or epoch == 1:
            path = folder / "samples" / f"fixed-noise-{epoch:06d}.png"
            write_png(path, grid(ellipses(epoch, seed), columns=8))
    mark_covered(folder, journal.sync(), EPOCHS)
    journal.close()


def views(root: Path) -> list[RunView]:
    shown = [RunView(SWEEP, "mask sweep", tags={"kind": "sweep"}, note="**Best**: trial 1")]
    for trial in (1, 2, 3):
        key = (*SWEEP, f"trial-{trial:03d}")
        params = {"learning_rate": f"{trial}e-4", "batch_size": str(12 * trial), "epochs": "60"}
        shown.append(
            RunView(
                key,
                f"trial {trial}",
                SWEEP,
                params,
                {"kind": "trial"},
                summary={"quality/kid": 0.02 * trial + 0.01, "quality/kid_sd": 0.004},
                summary_time=1_790_000_000_000,
                note=f"Means over 2 seeds of trial {trial}.",
            )
        )
        for seed in (1, 2):
            folder = root / "jobs" / "mask-stage" / f"{trial}{seed}".ljust(24, "0")
            train(folder, trial, seed)
            feeds = (Feed(folder, until=EPOCHS),)
            tags = {"kind": "seed"}
            shown.append(
                RunView(
                    (*key, f"seed-{seed}"), f"trial {trial}, seed {seed}", key, params, tags, feeds
                )
            )
    return [dataclasses.replace(view, status="finished") for view in shown]
