"""Looks a hundred times a second at what the main thread of this process is doing.

Python imports a module of this name when it starts; `profile` puts this folder on the path of the
processes that it starts, and of nothing else.
"""

import atexit
import json
import os
import sys
import threading
import time
from pathlib import Path

EVERY_S = 0.01
WRITE_S = 2.0

OURS = "/harness/", "/multiprocessing/"

DOING = (
    ("<frozen importlib", "", "imports"),
    ("/multiprocessing/", "", "waiting"),
    ("/training/augmentation.py", "", "augmentation"),
    ("/train/mixed_batches.py", "batch", "batching"),
    ("/train/batches.py", "batch", "batching"),
    ("/training/fit.py", "_save", "saving"),
    ("/training/fit.py", "_write_checkpoint", "saving"),
    ("/training/fit.py", "_close_epoch", "synchronisation"),
    ("/train/", "step", "arithmetic"),
    ("/train/", "sample", "arithmetic"),
    ("/train/", "generate", "arithmetic"),
    ("/train/", "predict", "arithmetic"),
    ("/extractors/", "", "features"),
    ("/metrics/", "", "scoring"),
    ("/data/", "", "reading"),
    ("/figures/", "", "drawing"),
    ("/report/", "", "drawing"),
    ("/tracking/", "", "tracking"),
    ("/executors/", "wait", "waiting"),
    ("/jobs/worker.py", "main", "waiting"),
    ("/jobs/", "", "driver"),
)
"""Of the innermost frame that fits: part of its file's path, name of the function or any, word."""

OUTER = {"epoch_end": "validation", "_draw": "drawing"}
"""Functions that name everything inside them, arithmetic too."""


class Looker:
    def __init__(self):
        self.folder = Path(os.environ["HARNESS_LOOKS"])
        self.main = threading.main_thread().ident
        self.spent, self.jobs, self.known = {}, {}, {}
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        last, written = time.perf_counter(), time.perf_counter()
        while True:
            time.sleep(EVERY_S)
            now = time.perf_counter()
            frame = sys._current_frames().get(self.main)
            if frame is not None:
                key = self.looked(frame)
                self.spent[key] = self.spent.get(key, 0) + now - last
            last = now
            if now - written > WRITE_S:
                self.write()
                written = now

    def looked(self, frame):
        """(kind of job, what it is doing)."""
        doing = kind = None
        while frame is not None:
            code = frame.f_code
            word, outer, runs = self.known.get(code) or self.word(code)
            doing = outer or doing or word
            if runs:
                spec = frame.f_locals["request"].spec
                kind = spec.kind
                self.jobs.setdefault(kind, set()).add(spec.digest)
            elif code.co_name == "<module>" and code.co_filename.endswith("jobs/worker.py"):
                kind = kind or "between jobs"
            frame = frame.f_back
        return kind or "command", doing or "other"

    def word(self, code):
        path, name = code.co_filename, code.co_name
        ours = any(part in path for part in OURS) or path.startswith("<frozen importlib")
        found = next((w for part, f, w in DOING if ours and part in path and f in ("", name)), None)
        runs = name == "run_request" and path.endswith("/jobs/runner.py")
        self.known[code] = found, OUTER.get(name) if ours else None, runs
        return self.known[code]

    def write(self):
        found = {
            "spent": [[*key, value] for key, value in list(self.spent.items())],
            "jobs": {kind: sorted(digests) for kind, digests in list(self.jobs.items())},
        }
        part = self.folder / f"{os.getpid()}.part"
        part.write_text(json.dumps(found))
        part.replace(part.with_suffix(".json"))


if "HARNESS_LOOKS" in os.environ:
    looker = Looker()
    atexit.register(looker.write)

    def _again():
        global looker
        looker = Looker()

    os.register_at_fork(after_in_child=_again)
