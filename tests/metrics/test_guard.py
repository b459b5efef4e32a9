"""The guard in a fresh interpreter, where nothing has been imported yet."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_torchmetrics_and_torch_fidelity_import_after_the_guard() -> None:
    out = run(
        "from harness.metrics.extractors.guard import guard_torchvision as guard\n"
        "guard(); guard()\n"
        "import torch, torchmetrics, torch_fidelity, torchvision\n"
        "from torchmetrics.functional.image import structural_similarity_index_measure as ssim\n"
        "x = torch.rand(1, 1, 32, 32)\n"
        "print(round(float(ssim(x, x, data_range=1.0)), 6))\n"
        "guard()\n"
    )
    assert out == "1.0\n"


def test_importing_the_metrics_loads_nothing_heavy() -> None:
    out = run(
        "import sys\n"
        "import harness.metrics.extractors.registry, harness.metrics.fidelity.kid_fid\n"
        "import harness.metrics.images.similarity\n"
        "import harness.metrics.fidelity.by_patient, harness.metrics.images.mask_shape\n"
        "import harness.inference.power\n"
        "import harness.metrics.segmentation.measures, harness.inference.crossed_t\n"
        "import harness.metrics.collapse.convergence\n"
        "heavy = {'torch', 'monai', 'torchmetrics', 'scipy', 'skimage', 'pandas', 'torchvision'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert out == "[]\n"
