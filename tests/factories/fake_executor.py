"""Jobs as planners see them: results written through the records, without any training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.jobs.folder import WorkFolder
from harness.jobs.graph import JobGraph
from harness.jobs.runner import run_request
from harness.jobs.spec import Request, Spec
from harness.jobs.status import missing

# Config of the training, its seed and the epoch of the checkpoint -> values of the score.
Scorer = Callable[[Mapping[str, Any], int, int], Mapping[str, Any]]


def verdict(word: str, ratio: float = 1.0, onset: int | None = None) -> dict[str, Any]:
    """A verdict on collapse as a score stores it; every sign at `ratio` of real."""
    names = ("mean_distance", "vendi_score", "non_duplicates", "coverage")
    signs = [
        {"name": name, "value": 10 * ratio, "real": 10.0, "ratio": ratio, "p": 0.5}
        for name in names
    ]
    return {
        "word": word,
        "sentence": f"{word.capitalize()}: as the stand-in says.",
        "p": 0.5,
        "signs": signs,
        "precision": 0.8,
        "real_precision": 0.9,
        "n": 10,
        "onset": onset,
    }


class FakeExecutor:
    """Finishes requests by writing their results.

    Args:
        work: the work folder.
        score: values of a score job.
        train: values of a training's checkpoints, beside its epoch.
        ends: epoch at which a training ends by itself, before its time.
        too_large: whether a training does not fit its device.

    Attributes:
        done: every result written here, as (kind, digest, epoch), in order.
    """

    def __init__(
        self,
        work: WorkFolder,
        score: Scorer,
        train: Callable[[Spec], Mapping[str, Any]] = lambda spec: {"converged": True},
        ends: Callable[[Spec], int | None] = lambda spec: None,
        too_large: Callable[[Spec], bool] = lambda spec: False,
    ) -> None:
        self.work = work
        self.score = score
        self.train = train
        self.ends = ends
        self.too_large = too_large
        self.done: list[tuple[str, str, int | None]] = []

    def drive(self, plan: Callable[[JobGraph], Any], passes: int = 10_000) -> Any:
        """Plan, finish what is ready, plan again, until nothing is missing or `passes` are over."""
        for _ in range(passes):
            graph = JobGraph(self.work)
            found = plan(graph)
            if not graph.pending():
                return found
            for request in graph.ready():
                self.finish(request)
        return found

    def finish(self, request: Request) -> None:
        """Write every missing result of a request; jobs that only read others are the real ones."""
        spec = request.spec
        if spec.kind in ("opening", "matched-updates"):
            outcome = run_request(request, self.work)
            assert outcome.state == "done", outcome.reason
        folder = self.work.job(spec)
        folder.open(spec)
        if self.too_large(spec):
            folder.fail("a job must fit, but does not", too_large=True)
            return
        wanted, end = missing(self.work, request), self.ends(spec)
        if end is not None and any(epoch is not None and epoch > end for epoch in wanted):
            wanted = sorted({end, *wanted} - {None})  # type: ignore[type-var]
        for epoch in wanted:
            inputs = {name: self.content(ref) for name, ref in spec.inputs.items()}
            values = self.values(request, epoch)
            folder.finish([], values, inputs, {"seconds": 1.0}, spec.compute, epoch)
            self.done.append((spec.kind, spec.digest, epoch))

    def content(self, reference: Any) -> str:
        result = self.work.result(reference)
        assert result is not None
        return str(result["content"])

    def values(self, request: Request, epoch: int | None) -> dict[str, Any]:
        spec = request.spec
        if "training" not in spec.inputs:  # no score of generated images
            values = {"epoch": epoch, **self.train(spec)}
            end = self.ends(spec)
            if end is not None and epoch is not None and epoch > end:
                values["stopped_at"] = end
            return values
        training = spec.inputs["training"]
        trained = self.work.job(training).spec()
        found = self.score(trained.config, trained.seed, training.epoch or 0)
        values = {"epoch": training.epoch, "n": 10, "converged": True, **found}
        word = "healthy" if values["converged"] else "convergence failure"
        return {"collapse": verdict(word), **values}
