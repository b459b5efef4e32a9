"""What a running job sees: its spec, its folder, its inputs, and whether it should stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base.errors import Damaged, EnvironmentFault, RuleError
from harness.base.stopwatch import Stopwatch
from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.spec import Input, Request, Spec


class DamagedInput(Damaged):
    """A file of an input of a job, which is to be made again before the job.

    Attributes:
        reference: the input.
    """

    def __init__(self, damaged: Damaged, reference: Input) -> None:
        super().__init__(damaged.path, damaged.why)
        self.reference = reference


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
        """Content digest of every input, as it is now.

        Raises:
            DamagedInput: a file of one is not what its result recorded.
        """
        found = {}
        for name, reference in self.spec.inputs.items():
            found[name] = str(self.input_result(name)["content"])
            try:
                self.work.job(reference).check(reference.epoch)
            except Damaged as damaged:
                raise DamagedInput(damaged, reference) from damaged
        return found

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
            outputs,
            values,
            self.contents(),
            cost,
            self.spec.compute,
            epoch,
            journal_length,
            lambda content: self._as_opened(epoch, content),
        )

    def _as_opened(self, epoch: int | None, content: str) -> None:
        """Raises RuleError where an opening of the test lists this result with another content."""
        for path in self.work.jobs.glob("opening/*/result.json"):
            opening = JobFolder(path.parent)
            opened = (opening.result() or {}).get("inputs", {})
            for name, reference in opening.spec().inputs.items():
                if reference == self.spec.done(epoch) and opened.get(name, content) != content:
                    raise RuleError(
                        f"after the test was opened {name} must stay what it was, but it was lost "
                        "or damaged and came out another when it was made again (another device, "
                        "precision or version of a library); bring its folder back from a copy: "
                        f"'{self.folder.path}', or name another --workdir"
                    )
