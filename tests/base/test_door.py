"""The doors from Python: whole, light, and used by the notebook."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
DOORS = ("harness", "harness.inference", "harness.metrics", "harness.data")
HEAVY = ("torch", "monai", "mlflow", "optuna", "ray", "matplotlib", "pandas", "scipy")


@pytest.mark.parametrize("name", DOORS)
def test_every_name_of_a_door_is_there_and_documented(name: str) -> None:
    package = importlib.import_module(name)
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    for public in package.__all__:
        getattr(package, public)
        assert public in text or public.startswith("__")
    for public in package.__all__:  # once more: a module of that name is found first by now
        assert not isinstance(getattr(package, public), ModuleType) or package.__name__ == "harness"
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        getattr(package, "no_such_name")  # noqa: B009


def test_a_fresh_interpreter_opens_every_door_without_a_heavy_library() -> None:
    code = f"import sys, {', '.join(DOORS)}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_notebook_runs_without_torch() -> None:
    notebook = json.loads((DOCS / "python.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    code = "\n\n".join([*cells, "import sys; print('torch' in sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("traditional+gan against traditional: helps;")
    assert lines[-1] == "False"
