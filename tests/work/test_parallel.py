"""Patients read side by side: in order, the same as one by one, and nobody left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.base.errors import EnvironmentFault
from harness.config.data import DataConfig, PhantomConfig
from harness.data.scan import Excluded, Source
from harness.work.prepare.parallel import read_each
from harness.work.prepare.sources import make_source

PHANTOMS = PhantomConfig(patients=5, slices=12, spacing_mm=(4.0, 3.0, 3.0))
CONFIG = DataConfig(source="phantom", phantom=PHANTOMS)


def digest(source: Source, patient: str) -> tuple[str, int]:
    """Content of a patient and who read it."""
    [reference] = [r for r in source.patients() if r.patient == patient]
    scan = source.read(reference)
    assert not isinstance(scan, Excluded)
    return scan.content_digest(), os.getpid()


def leave(source: Source, patient: str) -> None:
    os._exit(9)


def refuse(source: Source, patient: str) -> None:
    raise EnvironmentFault(f"not {patient}")


def names(root: Path) -> list[str]:
    return [reference.patient for reference in make_source(CONFIG, root).patients()]


def test_as_one_by_one(tmp_path: Path) -> None:
    patients = names(tmp_path)
    alone = list(read_each(digest, patients, make_source(CONFIG, tmp_path), 1))
    beside = list(read_each(digest, patients, make_source(CONFIG, tmp_path), 2))
    assert [content for content, _ in beside] == [content for content, _ in alone]
    assert {pid for _, pid in alone} == {os.getpid()}
    assert os.getpid() not in {pid for _, pid in beside}


def test_few_patients_need_no_processes(tmp_path: Path) -> None:
    [(_, pid)] = read_each(digest, names(tmp_path)[:1], make_source(CONFIG, tmp_path), 2)
    assert pid == os.getpid()


def test_a_process_that_is_ended_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="want of memory; use fewer --workers"):
        list(read_each(leave, names(tmp_path), make_source(CONFIG, tmp_path), 2))


def test_what_a_patient_raises_comes_through(tmp_path: Path) -> None:
    patients = names(tmp_path)
    with pytest.raises(EnvironmentFault, match=f"not {patients[0]}"):
        list(read_each(refuse, patients, make_source(CONFIG, tmp_path), 2))


def test_readers_leave_with_their_parent(tmp_path: Path) -> None:
    """Killed in the middle, it cannot end them itself."""
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_parallel import CONFIG, names, wait
from pathlib import Path
from harness.work.prepare.parallel import read_each
from harness.work.prepare.sources import make_source
root = Path({str(tmp_path)!r})
if __name__ == "__main__":
    list(read_each(wait, names(root), make_source(CONFIG, root), 2))
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, str(script)])
    try:
        started = tmp_path / "started"
        limit = time.monotonic() + 60
        while not started.exists():
            assert parent.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.05)
        children = psutil.Process(parent.pid).children(recursive=True)
        assert children
    finally:
        parent.kill()
        parent.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not [c for c in alive if c.status() != psutil.STATUS_ZOMBIE]


def wait(source: Source, patient: str) -> None:
    root = Path(source._private).parents[1]  # type: ignore[attr-defined]
    (root / "started").touch()
    time.sleep(60)
