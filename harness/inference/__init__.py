"""A table of scores by patient and replicate to a verdict; numpy and scipy alone."""

from harness.base.door import door

_NAMES = {
    "Cell": "harness.inference.table:Cell",
    "Table": "harness.inference.table:Table",
    "read_scores_file": "harness.inference.scores_file:read_scores_file",
    "DecisionRule": "harness.inference.decision:DecisionRule",
    "decide": "harness.inference.decision:decide",
    "Effect": "harness.inference.effect:Effect",
    "crossed_weighted_t": "harness.inference.crossed_t:crossed_weighted_t",
    "Inference": "harness.inference.crossed_t:Inference",
    "VarianceComponents": "harness.inference.crossed_t:VarianceComponents",
    "verdict": "harness.inference.verdict:verdict",
    "smallest_detectable_effect": "harness.inference.power:smallest_detectable_effect",
    "patients_needed": "harness.inference.power:patients_needed",
    "replicates_needed": "harness.inference.power:replicates_needed",
    "equivalence_in_reach": "harness.inference.power:equivalence_in_reach",
}
__all__ = list(_NAMES)
__getattr__ = door(__name__, _NAMES)
