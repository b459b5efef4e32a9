"""One thread in every test: fixed numbers, and no fight over cores between tests side by side.

That this file lies here also puts `tests/` on the path: `from tiny_material import ...`.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
