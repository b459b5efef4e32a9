"""`python -m tests.benchmarks NAME [options]`: run a benchmark, print its tables."""

from __future__ import annotations

import importlib
import os
import sys

# One thread, as a worker has; before numpy and torch are first imported.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

BENCHMARKS = {
    "metrics": ("scoring_share", "cost of scoring as a share of a thesis-length training"),
    "distortions": ("distortions", "which metric sees which distortion of real slices"),
    "sweep": ("sweeping", "what the machinery of a sweep costs, and what a second worker brings"),
    "profile": ("profiling", "where the time of an experiment goes, by kind of job"),
    "startup": ("startup", "what a user waits for before anything is computed"),
    "training": ("training", "images a second of every network beside plain PyTorch"),
    "inference": ("inference", "false positives of the comparison beside its reference figures"),
    "rtstruct": ("rtstruct", "contours to masks: speed and voxels beside rt-utils and plastimatch"),
    "splits": ("splits", "false positives among real replicates of one arm, half against half"),
    "baseline": ("baseline", "what raises the segmenter of real patients alone"),
}


def main(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names; without one, list them."""
    if not arguments or arguments[0] in ("-h", "--help"):
        for name, (_, does) in BENCHMARKS.items():
            print(f"{name:14} {does}")
        return 0
    name, *options = arguments
    if name not in BENCHMARKS:
        valid = ", ".join(BENCHMARKS)
        print(f"a benchmark must be one of {valid}, but got '{name}'", file=sys.stderr)
        return 2
    module = importlib.import_module(f".{BENCHMARKS[name][0]}", __package__)
    return int(module.main(options))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
