"""One worker on a Ray cluster, as the driver sees it: starting, idle or busy."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from harness.jobs.executors.cluster import Need
from harness.jobs.executors.ray_worker import JobWorker
from harness.jobs.runner import Outcome
from harness.jobs.spec import Request


class Slot:
    """An actor and what it is computing.

    Args:
        environment: variables of its process.
        given: what `JobWorker` is made with.

    Attributes:
        reference: of the answer that is awaited; None while idle.
        handle: of the running request.
        request: the running one, else the last one.
        seen: what the worker saw on its node, once it has started.
    """

    def __init__(
        self, ray: Any, need: Need, environment: Mapping[str, str], given: tuple[str, str, str]
    ) -> None:
        self.need = need
        self.handle: int | None = None
        self.request: Request | None = None
        self.seen: dict[str, Any] = {}
        self._ray = ray
        self._told_to_stop = False
        self._actor = (
            ray.remote(JobWorker)
            .options(
                num_cpus=need.cpus,
                num_gpus=need.gpus,
                max_restarts=0,  # the driver starts another one
                max_task_retries=0,
                max_concurrency=2,  # `stop` is answered while `run` runs
                runtime_env={"env_vars": dict(environment)},
            )
            .remote(*given)
        )
        self.reference: Any = self._actor.hello.remote()

    @property
    def starting(self) -> bool:
        return not self.seen

    @property
    def idle(self) -> bool:
        return bool(self.seen) and self.handle is None

    @property
    def host(self) -> str:
        return str(self.seen["process"]["host"])

    @property
    def node(self) -> str:
        return str(self.seen["node"])

    def greet(self) -> None:
        """Take in what the worker saw; it is idle from now on."""
        self.seen = self._ray.get(self.reference)
        self.reference = None

    def run(self, handle: int, request: Request) -> None:
        self.handle, self.request = handle, request
        self.reference = self._actor.run.remote(request.to_dict())

    def collect(self) -> Outcome:
        """The outcome of the request that ended; the worker is idle from now on.

        Raises:
            RayError: it broke outside of the job, or the worker is dead.
        """
        reference, self.reference, self.handle = self.reference, None, None
        return Outcome(**self._ray.get(reference))

    def stop(self) -> None:
        """Make the running request save its state and leave."""
        if self.handle is not None and not self._told_to_stop:
            self._told_to_stop = True
            self._actor.stop.remote()

    def end(self) -> None:
        """End the process, whatever it does."""
        with contextlib.suppress(Exception):  # it or its cluster may be gone
            self._ray.kill(self._actor)
