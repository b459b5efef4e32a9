"""`harness --version`: which harness this is, and whether another one is in the way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from factories.cli import run_cli

from harness import __version__


def plant(folder: Path, name: str) -> None:
    """What a distribution of that name leaves behind that installs a package `harness`."""
    about = folder / f"{name}-9.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.0\n")
    (about / "top_level.txt").write_text("harness\n")


def test_it_names_distribution_version_and_place() -> None:
    found = run_cli("--version")
    assert found.code == 0
    assert found.out.startswith(f"gan-harness {__version__}")
    assert found.out.rstrip().endswith(str(Path(__file__).parents[2] / "harness"))


def test_another_distribution_of_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "harness-of-others")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = run_cli("--version")
    assert found.code == 0
    assert "harness-of-others" in found.err
    assert "uninstall it: pip uninstall" in found.err


def test_the_citation_names_this_version() -> None:
    cited = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text())
    assert cited["version"] == __version__
