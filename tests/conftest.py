"""One thread in every test: fixed numbers, and no fight over cores between tests side by side."""

from __future__ import annotations

import os

from hypothesis import settings

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# How long an example takes says more about the machine than about the code.
settings.register_profile("harness", deadline=None)
settings.load_profile("harness")
