"""A table of scores by patient and replicate to a verdict; numpy and scipy alone."""

from harness.base.door import door

__all__, __getattr__ = door(
    __name__,
    {
        "inference.table": "Cell Table",
        "inference.layout": "Layout",
        "inference.scores_file": "read_scores_file",
        "inference.score_columns": "Columns",
        "inference.decision": "DecisionRule decide",
        "inference.effect": "Effect",
        "inference.crossed_t": "crossed_weighted_t Inference VarianceComponents",
        "inference.verdict_text": "verdict",
        "inference.companion": "gain_probabilities Companion",
        "inference.co_primaries": "common_word",
        "inference.looks": "look_levels",
        "inference.power": "smallest_detectable_effect patients_needed replicates_needed "
        "equivalence_in_reach",
    },
)
