"""Every kind of job: its name, its code, its recipe version.

Code is named, not imported, so that planners need neither torch nor monai.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.base.registry import Registry, load_place
from harness.jobs.context import Context


@dataclass(frozen=True)
class Kind:
    """Attributes:
    code: "module:function"; the function takes a Context and stores its result(s).
    recipe: raised when the same spec would now give another result.
    training: results are checkpoints at epochs.
    pixels: the setting of `data.crop` that is the edge of its images.
    """

    code: str
    recipe: int
    training: bool = False
    pixels: str = "frame_px"

    def load(self) -> Callable[[Context], None]:
        return load_place(self.code)  # type: ignore[no-any-return]


KINDS: Registry[Kind] = Registry(
    "job kind",
    "harness.jobs",
    {
        "prepare": Kind("harness.work.prepare.job:prepare_pairs", 3),
        "mask-stage": Kind(
            "harness.work.train.mask_stage:train_mask_stage", 2, training=True, pixels="mask_px"
        ),
        "image-stage": Kind("harness.work.train.image_stage:train_image_stage", 2, training=True),
        "image-decay": Kind("harness.work.train.image_stage:train_decay", 2, training=True),
        "real-diversity": Kind("harness.work.evaluate.real_diversity:measure_real_diversity", 1),
        "mask-score": Kind("harness.work.evaluate.gan_scores:score_masks", 6, pixels="mask_px"),
        "image-score": Kind("harness.work.evaluate.gan_scores:score_images", 5),
        "image-test": Kind("harness.work.evaluate.image_tests:score_image_test", 1),
        "real-baseline": Kind("harness.work.evaluate.real_baseline:measure_real_baseline", 2),
        "audit": Kind("harness.work.evaluate.audit:audit_replicate", 3),
        "calibration": Kind("harness.work.evaluate.calibration:calibrate_verdict", 1),
        "synthesis": Kind("harness.work.generate.synthesis:synthesise", 1),
        "synthesis-on-real-masks": Kind(
            "harness.work.generate.synthesis:synthesise_on_real_masks", 1
        ),
        "fresh-phantoms": Kind("harness.work.generate.fresh_phantoms:draw_fresh_phantoms", 1),
        "segmenter": Kind("harness.work.train.segmenter:train_segmenter", 6, training=True),
        "matched-updates": Kind("harness.work.train.matched_updates:match_updates", 1),
        "opening": Kind("harness.work.evaluate.opening:open_test", 2),
        "test-score": Kind("harness.work.evaluate.segmentation_scores:score_test_patients", 5),
        "validation-score": Kind(
            "harness.work.evaluate.segmentation_scores:score_validation_patients", 2
        ),
    },
)
