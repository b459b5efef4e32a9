"""Which harness this is: distribution, version, commit; and whether another one is in the way."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path

from harness import __version__

DISTRIBUTION = "gan-harness"
"""`harness` is another project's on the Python package index."""


def version_line() -> str:
    """Distribution, version, commit as far as it is known, and the folder it runs from."""
    package = Path(__file__).parents[1]
    commit = _commit(package.parent)
    return f"{DISTRIBUTION} {__version__}{f' ({commit})' if commit else ''}, from {package}"


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


def _commit(root: Path) -> str:
    """Of a checkout, or of what pip installed from a repository; "" for neither."""
    if (root / ".git").exists():
        said = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude", "*"],
            capture_output=True,
            text=True,
            check=False,
        )
        return said.stdout.strip()
    try:
        about = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return ""
    return str(json.loads(about or "{}").get("vcs_info", {}).get("commit_id", ""))[:12]
