"""What CI installs from is what the project asks for."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def test_every_requirement_is_pinned_within_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["dev"], *extras["distributed"]]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    known = {canonicalize_name(name): version for name, version in pinned.items()}
    for requirement in map(Requirement, asked):
        version = known[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), requirement
