"""The team's servers, once for all tests, and the sweep without them."""

from __future__ import annotations

import glob
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.chaos import finish, small, written
from factories.servers import PLACES, Team


@pytest.fixture(scope="session")
def team() -> Iterator[Team]:
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install -e '.[dev]')")
    if not shutil.which("initdb") and not any(glob.glob(place) for place in PLACES):
        pytest.skip("PostgreSQL's server is not installed (apt-get install postgresql)")
    # Not below pytest's own folder, which nobody but its owner may enter: root's PostgreSQL runs as
    # another user.
    folder = Path(tempfile.mkdtemp(prefix="team-"))
    folder.chmod(0o755)
    made = Team(folder)
    try:
        made.start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PGPASSWORD", made.password)
            yield made
    finally:
        made.stop("immediate")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of an undisturbed sweep that keeps everything itself."""
    home = tmp_path_factory.mktemp("reference")
    finish(written(home / "chaos.yaml", small()), home / "whole", "--workers", "1")
    return home / "whole"
