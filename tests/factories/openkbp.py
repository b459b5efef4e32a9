"""A small OpenKBP folder: patients in the format's own files, read by the real source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

EDGE = 128
COUNTS = {"train": 3, "validation": 1, "test": 1}
# Everything small enough that a training takes a second.
EXPERIMENT = """\
name: tiny
question: Does a small folder go all the way?
conclusive: false
data:
  source: openkbp
  root: {root}
  roles: {{by: source}}
  spacing_mm: 2.0
mask: {{width: 4, batch_size: 12, schedule: {{epochs: 2}}}}
image: {{width: 4, batch_size: 8, schedule: {{epochs: 1}}}}
synthesis: {{pairs: 12}}
segmentation:
  {{channels: [4, 8], residual_units: 0, batch_size: 4, updates: 4, updates_per_epoch: 2}}
arms: [traditional, traditional+gan]
decision: {{secondary: []}}
replicates: {{count: 2}}
metrics: {{images: 12, scored_epochs: 2}}
sweep:
  seeds: 2
  sampler: grid
  trials_per_batch: 2
  mask: {{trials: 2, space: {{batch_size: {{values: [6, 12]}}}}}}
  image: {{trials: 2, space: {{batch_size: {{values: [4, 8]}}}}}}
tracking: {{enabled: false, sample_grids: 1}}
"""


def write_openkbp(root: Path, counts: Mapping[str, int] = COUNTS) -> Path:
    """Patients of 4 mm voxels: a cylinder of ten slices with two brighter structures."""
    y, x, z = np.mgrid[:EDGE, :EDGE, :EDGE]
    body = ((y - 64) ** 2 + (x - 64) ** 2 < 20**2) & (z >= 60) & (z < 70)
    number = 0
    for role, count in counts.items():
        for _ in range(count):
            number += 1
            rng = np.random.default_rng(number)
            hu = np.zeros((EDGE,) * 3)
            hu[body] = 1064 + rng.normal(0, 10, int(body.sum()))
            folder = root / "provided-data" / f"{role}-pats" / f"pt_{number}"
            folder.mkdir(parents=True)
            for name, side in (("LeftParotid", 1), ("RightParotid", -1)):
                row, column = 64 + rng.normal(0, 1), 64 + side * 12 + rng.normal(0, 1)
                structure = (y - row) ** 2 / 16 + (x - column) ** 2 / 9 + (z - 65) ** 2 / 9 < 1
                structure &= body
                hu[structure] = 1114
                voxels = "".join(f"{index},\n" for index in np.flatnonzero(structure))
                (folder / f"{name}.csv").write_text(",data\n" + voxels)
            flat = hu.ravel()
            voxels = "".join(f"{i},{flat[i]:.0f}\n" for i in np.flatnonzero(flat))
            (folder / "ct.csv").write_text(",data\n" + voxels)
            (folder / "voxel_dimensions.csv").write_text("4.0\n4.0\n4.0\n")
    return root


def write_experiment(path: Path, root: Path) -> Path:
    """The tiny experiment on the patients in `root`."""
    path.write_text(EXPERIMENT.format(root=root))
    return path
