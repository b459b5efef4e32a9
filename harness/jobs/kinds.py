"""Every kind of job: its name, its code, its recipe version.

Code is named, not imported, so that planners need neither torch nor monai.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from harness.base.registry import Registry
from harness.jobs.context import Context


@dataclass(frozen=True)
class Kind:
    """Attributes:
    code: "module:function"; the function takes a Context and stores its result(s).
    recipe: raised when the same spec would now give another result.
    training: results are checkpoints at epochs.
    """

    code: str
    recipe: int
    training: bool = False

    def load(self) -> Callable[[Context], None]:
        module, name = self.code.split(":")
        return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


KINDS: Registry[Kind] = Registry("job kind", "harness.jobs")
KINDS.add("prepare", Kind("harness.work.prepare.job:run", 3))
KINDS.add("mask-stage", Kind("harness.work.train.mask_stage:run", 2, training=True))
KINDS.add("image-stage", Kind("harness.work.train.image_stage:run", 2, training=True))
KINDS.add("image-decay", Kind("harness.work.train.image_stage:decay", 2, training=True))
KINDS.add("real-diversity", Kind("harness.work.evaluate.real_diversity:run", 1))
KINDS.add("mask-score", Kind("harness.work.evaluate.gan_scores:score_masks", 4))
KINDS.add("image-score", Kind("harness.work.evaluate.gan_scores:score_images", 3))
KINDS.add("real-baseline", Kind("harness.work.evaluate.real_baseline:run", 1))
KINDS.add("audit", Kind("harness.work.evaluate.audit:run", 1))
KINDS.add("calibration", Kind("harness.work.evaluate.calibration:run", 1))
KINDS.add("synthesis", Kind("harness.work.generate.synthesis:run", 1))
KINDS.add(
    "synthesis-on-real-masks", Kind("harness.work.generate.synthesis:synthesis_on_real_masks", 1)
)
KINDS.add("fresh-phantoms", Kind("harness.work.generate.fresh_phantoms:run", 1))
KINDS.add("segmenter", Kind("harness.work.train.segmenter:run", 4, training=True))
KINDS.add("opening", Kind("harness.work.evaluate.opening:run", 2))
KINDS.add("test-score", Kind("harness.work.evaluate.segmentation_scores:run", 2))
