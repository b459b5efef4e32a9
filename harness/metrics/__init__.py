"""Images and masks in, numbers out; nothing here knows of jobs."""

from harness.base.door import door

__all__, __getattr__ = door(
    __name__,
    {
        "metrics.score": "Score",
        "metrics.fidelity.kid_fid": "kid fid",
        "metrics.fidelity.by_patient": "kid_by_patient fid_with_interval real_baselines",
        "metrics.fidelity.prdc": "prdc",
        "metrics.extractors.registry": "make_extractor",
        "metrics.extractors.coarse_pixels": "coarse_pixels",
        "metrics.collapse.verdict": "RealSet real_diversity judge_collapse",
        "metrics.memorisation.neighbours": "neighbours",
        "metrics.memorisation.permutation_test": "judge_memorisation",
        "metrics.images.similarity": "paired_similarity ssim_diversity",
        "metrics.segmentation.structure_scores": "structure_scores",
    },
)
