"""What a running job sees: its spec, its folder, its inputs, and whether it should stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base.errors import EnvironmentFault
from harness.base.stopwatch import Stopwatch
from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.spec import Request, Spec


@dataclass
class Context:
    """Handed to a job kind. `finish` (checkpoints included) stores results."""

    request: Request
    work: WorkFolder
    stop: Callable[[], bool] = lambda: False
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def spec(self) -> Spec:
        return self.request.spec

    @property
    def folder(self) -> JobFolder:
        return self.work.job(self.spec)

    def input(self, name: str) -> Path:
        """Folder of an input's result."""
        reference = self.spec.inputs[name]
        return self.work.job(reference).at(reference.epoch)

    def input_result(self, name: str) -> dict[str, Any]:
        """Stored result of an input.

        Raises:
            EnvironmentFault: it is gone (deleted while the plan ran).
        """
        result = self.work.result(self.spec.inputs[name])
        if result is None:
            raise EnvironmentFault(
                f"input '{name}' of this {self.spec.kind} job must be finished, but its result is "
                "gone; run the command again"
            )
        return result

    def contents(self) -> dict[str, str]:
        """Content digest of every input, as it is now."""
        return {name: self.input_result(name)["content"] for name in self.spec.inputs}

    def finish(
        self,
        outputs: Iterable[Path],
        values: Mapping[str, Any],
        epoch: int | None = None,
        journal_length: int = 0,
    ) -> None:
        """Store the result with what it read, cost and was computed with."""
        seconds, cpu_seconds = self.stopwatch.spent()
        cost = {"seconds": round(seconds, 3), "cpu_seconds": round(cpu_seconds, 3)}
        self.folder.finish(
            outputs, values, self.contents(), cost, self.spec.compute, epoch, journal_length
        )
