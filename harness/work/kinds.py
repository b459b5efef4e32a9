"""Every kind of job: its name, its code, its recipe version.

Code is named, not imported, so that planners need neither torch nor monai.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from harness.base.registry import Registry
from harness.work.context import Context


@dataclass(frozen=True)
class Kind:
    """Attributes:
    code: "module:function"; the function takes a Context and stores its result(s).
    recipe: raised when the same spec would now give another result.
    lineage: results are readouts at epochs.
    """

    code: str
    recipe: int
    lineage: bool = False

    def load(self) -> Callable[[Context], None]:
        module, name = self.code.split(":")
        return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


KINDS: Registry[Kind] = Registry("job kind", "harness.jobs")
KINDS.add("prepare", Kind("harness.work.prepare:run", 2))
KINDS.add("mask-stage", Kind("harness.work.mask_stage:run", 1, lineage=True))
KINDS.add("image-stage", Kind("harness.work.image_stage:run", 1, lineage=True))
KINDS.add("image-decay", Kind("harness.work.image_stage:decay", 1, lineage=True))
KINDS.add("variety", Kind("harness.work.variety:run", 1))
KINDS.add("mask-score", Kind("harness.work.scoring:score_masks", 3))
KINDS.add("image-score", Kind("harness.work.scoring:score_images", 2))
KINDS.add("floor", Kind("harness.work.floor:run", 1))
KINDS.add("audit", Kind("harness.work.audit:run", 1))
KINDS.add("calibration", Kind("harness.work.calibration:run", 1))
KINDS.add("synthesis", Kind("harness.work.synthesis:run", 1))
KINDS.add("repaint", Kind("harness.work.synthesis:repaint", 1))
KINDS.add("fresh", Kind("harness.work.fresh:run", 1))
KINDS.add("segmenter", Kind("harness.work.segmentation:run", 4, lineage=True))
KINDS.add("opening", Kind("harness.work.opening:run", 2))
KINDS.add("test-score", Kind("harness.work.test_scoring:run", 2))
