"""Networks are had without the rest of MONAI, and nothing is left changed."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import pkgutil, sys
before = pkgutil.walk_packages
import harness.models.unet, harness.models.dynunet, harness.work.train.unet
assert pkgutil.walk_packages is before
print(*sorted({"mlflow", "monai.bundle", "monai.losses"} & set(sys.modules)))
import monai.handlers, monai.bundle  # whoever wants the rest has it
print(monai.bundle.ConfigParser.__name__)
"""


def test_what_is_not_used_is_not_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["monai.losses", "ConfigParser"]
