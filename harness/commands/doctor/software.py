"""Python, packages, extractor weights and databases."""

from __future__ import annotations

import contextlib
import platform
import sqlite3
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from harness.base.errors import EnvironmentFault
from harness.base.text import counted
from harness.base.version import DISTRIBUTION, PACKAGE, foreign_harness, version_line
from harness.commands.doctor.finding import Finding


def declared() -> tuple[str, list[Requirement]]:
    """The range of Python and the packages that this harness asks for, extras left out."""
    source = PACKAGE.parent / "pyproject.toml"
    project = (
        tomllib.loads(source.read_text(encoding="utf-8"))["project"] if source.exists() else {}
    )
    if project.get("name") == DISTRIBUTION:
        return project["requires-python"], [Requirement(text) for text in project["dependencies"]]
    about = metadata.distribution(DISTRIBUTION)
    needed = [Requirement(text) for text in about.requires or ()]
    own = [need for need in needed if not need.marker or need.marker.evaluate({"extra": ""})]
    return about.metadata["Requires-Python"], own


def requirement(name: str) -> str:
    """What is asked of a package, as pip takes it."""
    return next((str(need) for need in declared()[1] if need.name == name), name)


def python() -> list[Finding]:
    """This harness, and the Python it runs in."""
    wanted, here = declared()[0], platform.python_version()
    found = [Finding("harness", "ok", version_line())]
    if foreign_harness():
        found = [Finding("harness", "fault", foreign_harness())]
    if SpecifierSet(wanted).contains(here, prereleases=True):
        return [*found, Finding("Python", "ok", here)]
    said = f"it must be {wanted}, but got {here}; make an environment with another one"
    return [*found, Finding("Python", "fault", said)]


def packages() -> list[Finding]:
    """Whether every package is there, in a version that is asked for."""
    needed = declared()[1]
    wrong = [finding for need in needed if (finding := judge_package(need)) is not None]
    shown = ", ".join(f"{name} {metadata.version(name)}" for name in _shown())
    right = f"{counted(len(needed) - len(wrong), 'package')} as asked for"
    return [Finding("packages", "ok", f"{right}: {shown}" if shown else right), *wrong]


def judge_package(need: Requirement) -> Finding | None:
    """What is wrong with an installed package; None where nothing is."""
    about = f"package {need.name}"
    try:
        here = metadata.version(need.name)
    except metadata.PackageNotFoundError:
        return Finding(about, "fault", f"it must be there, but is not; pip install '{need}'")
    if need.specifier.contains(here, prereleases=True):
        return None
    said = f"it must be {need.specifier}, but got {here}; pip install '{need}'"
    return Finding(about, "warning", said)


def _shown() -> list[str]:
    there = {dist.name.lower() for dist in metadata.distributions() if dist.name}
    return [name for name in ("torch", "monai", "mlflow", "optuna") if name in there]


def extractors() -> list[Finding]:
    """The weights that FID and KID are measured with: those that are there, how to get the rest."""
    from harness.metrics.extractors.weights import (
        INCEPTION_FILE,
        INCEPTION_URL,
        check_inception,
        find_inception,
        hub_folder,
        lite0_digest,
    )

    said = f"efficientnet-lite0 is there, from its package (SHA-256 {lite0_digest()[:12]}...)"
    found = [Finding("extractor", "ok", said)]
    if find_inception(None) is None:
        said = (
            f"inception-v3, by which papers give FID and KID, is not there; fetch {INCEPTION_URL} "
            f"into {hub_folder()}, or name the file in metrics.inception_weights; without it runs "
            "take efficientnet-lite0"
        )
        return [*found, Finding("extractor", "warning", said)]
    try:
        check_inception(None)
    except EnvironmentFault as error:
        return [*found, Finding("extractor", "warning", str(error))]
    return [*found, Finding("extractor", "ok", f"inception-v3 is there: {INCEPTION_FILE}")]


def databases(workdir: Path) -> list[Finding]:
    """Whether the databases of the work folder open: MLflow's runs, Optuna's studies."""
    files = [(workdir / "mlflow" / "mlflow.db", "runs")]
    files += [(path, "studies") for path in sorted((workdir / "studies").glob("*.db"))]
    there = [judge_database(path, table) for path, table in files if path.exists()]
    return there or [Finding("databases", "ok", "none yet: a command makes them")]


def judge_database(path: Path, table: str) -> Finding:
    """Whether a sqlite file opens and has its table; only reads."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    except sqlite3.Error as error:
        said = (
            f"it must open as a database with {table}, but got '{error}'; put back a copy of it, "
            "or move it away: a command makes a new one"
        )
        return Finding(str(path), "fault", said)
    return Finding(str(path), "ok", f"opens, {table}: {count}")
