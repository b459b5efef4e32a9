"""Which harness this is: distribution, version, commit; and whether another one is in the way."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path

from harness import __version__

DISTRIBUTION = "gan-harness"
"""`harness` is another project's on the Python package index."""
PACKAGE = Path(__file__).parents[1]


def version_line() -> str:
    """Distribution, version, commit as far as it is known, and the folder it runs from."""
    return f"{DISTRIBUTION} {__version__} ({code_version()}), from {PACKAGE}"


def code_version() -> str:
    """Commit of the source tree, with a mark if files differ from it; else the one that pip
    installed from a repository, or "released"."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return _installed_commit() or "released"

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
        return done.stdout.strip()

    dirty = " with local changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + dirty


def foreign_harness() -> str:
    """The sentence about another distribution that installs a package `harness`; "" without one."""
    owners = metadata.packages_distributions().get("harness", [])
    others = sorted({name for name in owners if name.lower() != DISTRIBUTION})
    if not others:
        return ""
    return (
        f"the package harness must be {DISTRIBUTION}'s, but got another one from the distribution "
        f"{', '.join(others)}; uninstall it: pip uninstall {' '.join(others)}"
    )


def _installed_commit() -> str:
    try:
        about = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return ""
    return str(json.loads(about or "{}").get("vcs_info", {}).get("commit_id", ""))[:12]
