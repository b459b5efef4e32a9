"""An owner that was stopped past its lease wakes while, or after, a successor trains: it is not the
owner any more, and finds that out before it writes.

HARNESS_CHAOS_ROUNDS (50) and HARNESS_CHAOS_SEED (drawn, printed) are of the long version.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.split import assert_undisturbed, can_be, line, split

from harness.jobs.folder import WorkFolder
from harness.jobs.runner import run_request

PLACES = ("here", "host", "pids")
ROUNDS = int(os.environ.get("HARNESS_CHAOS_ROUNDS", "50"))
SEED = int(os.environ.get("HARNESS_CHAOS_SEED") or random.SystemRandom().randrange(10**6))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed")
    assert run_request(line(), WorkFolder(root)).state == "done"
    return root


@pytest.fixture
def room() -> Iterator[Path]:
    """In memory: a disk that is busy with others would tell the owners' clocks, not their rules."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def _of(place: str) -> str:
    if not can_be(place):
        pytest.skip(f"this user may not make another place of the kind '{place}' (unshare)")
    return place


@pytest.mark.parametrize("place", PLACES)
def test_a_stopped_owner_that_wakes_writes_nothing(
    room: Path, undisturbed: Path, place: str
) -> None:
    split(room, _of(place), random.Random(place))
    assert_undisturbed(room, undisturbed)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("place", PLACES)
def test_whenever_it_is_stopped_and_wakes(room: Path, undisturbed: Path, place: str) -> None:
    print(f"HARNESS_CHAOS_SEED={SEED} HARNESS_CHAOS_ROUNDS={ROUNDS}")
    chance = random.Random(f"{place} {SEED}")
    for number in range(ROUNDS):
        split(room / str(number), _of(place), chance)
        assert_undisturbed(room / str(number), undisturbed)
