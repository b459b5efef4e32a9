"""Images and masks in, numbers out; nothing here knows of jobs."""

from harness.base.door import door

_NAMES = {
    "Score": "harness.metrics.score:Score",
    "kid": "harness.metrics.fidelity.kid_fid:kid",
    "kid_by_patient": "harness.metrics.fidelity.by_patient:kid_by_patient",
    "fid": "harness.metrics.fidelity.kid_fid:fid",
    "fid_with_interval": "harness.metrics.fidelity.by_patient:fid_with_interval",
    "prdc": "harness.metrics.fidelity.prdc:prdc",
    "real_baselines": "harness.metrics.fidelity.by_patient:real_baselines",
    "make_extractor": "harness.metrics.extractors.registry:make_extractor",
    "coarse_pixels": "harness.metrics.extractors.coarse_pixels:coarse_pixels",
    "RealSet": "harness.metrics.collapse.verdict:RealSet",
    "real_diversity": "harness.metrics.collapse.verdict:real_diversity",
    "judge_collapse": "harness.metrics.collapse.verdict:judge_collapse",
    "neighbours": "harness.metrics.memorisation.neighbours:neighbours",
    "memorisation": "harness.metrics.memorisation.permutation_test:memorisation",
    "paired_similarity": "harness.metrics.images.similarity:paired_similarity",
    "ssim_diversity": "harness.metrics.images.similarity:ssim_diversity",
    "structure_scores": "harness.metrics.segmentation.structure_scores:structure_scores",
}
__all__ = list(_NAMES)
__getattr__ = door(__name__, _NAMES)
