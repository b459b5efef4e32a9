"""A command that is stopped, and whose work folder another one takes over, finds that out when it
is continued: it ends in a sentence and leaves everything as the other one has it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from factories.split import standing, wait
from factories.tree import changed, tree

SWEEP = """
import sys
sys.argv = ["harness", "sweep", "tiny.yaml", "--engine", "inline", "--stage", "mask",
            "-s", "mask.schedule.epochs=400"]
from harness.cli import main
main()
"""


def test_a_command_whose_work_folder_was_taken_over(
    here: Path, experiment: str, prepared: Path
) -> None:
    work = here / "harness-work"
    shutil.copytree(prepared, work)
    process = subprocess.Popen([sys.executable, "-c", SWEEP], stderr=subprocess.PIPE, text=True)
    try:
        wait(lambda: any(work.glob("jobs/mask-stage/*/journal.jsonl")), 120)
        process.send_signal(signal.SIGSTOP)
        wait(lambda: standing(process.pid))
        (work / "theirs").write_text('{"host": "another-host", "pid": 7, "started": 1.0}')
        os.replace(work / "theirs", work / "driver.lease.json")
        before = tree(work, folders=False)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 3, said
    last = said.strip().splitlines()[-1]
    assert last.startswith("error: the work folder 'harness-work' has one owner at a time, but ")
    assert "process 7 on another-host took it over" in last
    assert "Traceback" not in said
    (own,) = changed(before, tree(work, folders=False))
    assert own.endswith("/lease.json"), "of its job, which it gives back"
