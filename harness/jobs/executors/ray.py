"""Workers on the nodes of a Ray cluster, each an actor that computes one request at a time.

Every node must see the work folder at the same path: jobs are written there, and nothing but
requests and outcomes travels through Ray. A worker or node that dies is an event; Ray itself
retries nothing, because the driver does. When the driver dies, Ray ends its workers at once.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter, deque
from pathlib import Path

from harness.base.errors import EnvironmentFault
from harness.base.gpu_share import GpuShare
from harness.jobs.executors.base import Event, Queue
from harness.jobs.executors.cluster import Need, capacity, check, connect, nodes
from harness.jobs.executors.cluster_check import Mark, ask, last_line, tell
from harness.jobs.executors.processes import worker_environment
from harness.jobs.executors.ray_slot import Slot
from harness.jobs.executors.ray_worker import bury_there, look_there
from harness.jobs.folder import WorkFolder
from harness.jobs.runner import Outcome
from harness.jobs.spec import Request

LEAVE_SECONDS = 30.0
# A node that was there may come back; after this long without one the command ends.
WAITING_SECONDS = 300.0
MOST_STILLBORN = 3


class RayExecutor(Queue):
    """Runs requests on a cluster.

    Args:
        root: the work folder; every node sees it at the same path.
        workers: how many requests at once; None takes as many as the cluster holds.
        threads: of each request, where its spec does not say.
        address: of a running cluster; None starts one on this machine.

    Raises:
        EnvironmentFault: Ray is missing, nothing answers at the address, no node has so many
            CPUs, or a node does not see the work folder or has another harness.
    """

    def __init__(
        self, root: Path, workers: int | None, threads: int, address: str | None = None
    ) -> None:
        super().__init__()
        self._work = WorkFolder(root.absolute())
        self._threads = threads
        self._ray = connect(address, workers * threads if workers else None)
        self._mark = Mark(self._work.root)
        self._slots: list[Slot] = []
        self._stillborn = 0
        self._met: set[Need] = set()
        self._nowhere_since: dict[Need, float] = {}
        try:
            among, one = nodes(self._ray), Need(threads)
            check(among, one)
            self.workers = workers or capacity(among, one)
            self._share = _share(workers or 1, sum(node.gpus for node in among))
            if address is not None:
                wide = [node for node in among if node.holds(one)]
                for node, seen in ask(self._ray, wide, look_there, str(self._mark.path)):
                    self._mark.compare(seen, node.name)
        except BaseException:
            self.close()
            raise

    def submit(self, request: Request) -> int:
        """Queue a request; returns its handle.

        Raises:
            EnvironmentFault: no node can run it.
        """
        need = self._need(request)
        if need not in self._met:
            check(nodes(self._ray), need)
            self._met.add(need)
        handle = super().submit(request)
        self._feed()
        return handle

    def wait(self, timeout: float) -> list[Event]:
        """Requests that ended.

        Raises:
            EnvironmentFault: a node that joined is unfit, or none is left that can run a request.
        """
        if self._stopping:
            self._queue.clear()
            for slot in self._slots:
                slot.stop()
        self._feed()
        waited = {slot.reference: slot for slot in self._slots if slot.reference is not None}
        if not waited:
            return []
        ready, _ = self._ray.wait(list(waited), num_returns=1, timeout=timeout)
        if ready:
            ready, _ = self._ray.wait(list(waited), num_returns=len(waited), timeout=0)
        events = []
        for reference in ready:
            slot = waited[reference]
            if slot.handle is None:
                self._greet(slot)
            else:
                events.append(self._collect(slot, slot.handle))
        self._feed()
        self._watch()
        return events

    def busy(self) -> set[int]:
        return {slot.handle for slot in self._slots if slot.handle is not None}

    def active(self) -> set[int]:
        return self.busy() | self.queued()

    def close(self) -> None:
        """End all workers; busy ones save their state first."""
        running = [slot for slot in self._slots if slot.handle is not None]
        for slot in running:
            slot.stop()
        if running:
            references = [slot.reference for slot in running]
            self._ray.wait(references, num_returns=len(references), timeout=LEAVE_SECONDS)
        for slot in self._slots:
            slot.end()
        self._slots.clear()
        self._mark.remove()
        self._ray.shutdown()

    def _need(self, request: Request) -> Need:
        compute = request.spec.compute
        cuda = compute.get("device") == "cuda"
        return Need(int(compute.get("threads", self._threads)), self._share if cuda else 0.0)

    def _feed(self) -> None:
        """Give queued requests to idle workers, and start workers for the rest."""
        if self._stopping:
            return
        waiting: deque[tuple[int, Request]] = deque()
        for handle, request in self._queue:
            need = self._need(request)
            idle = next((s for s in self._slots if s.idle and s.need == need), None)
            if idle is None:
                waiting.append((handle, request))
            else:
                idle.run(handle, request)
        self._queue = waiting
        starting = Counter(slot.need for slot in self._slots if slot.starting)
        for _, request in waiting:
            need = self._need(request)
            if starting[need]:
                starting[need] -= 1
            elif not self._start(need):
                return

    def _start(self, need: Need) -> bool:
        """Start a worker, in the place of a free one of another need where there is no room."""
        full = len(self._slots) >= self.workers
        for slot in self._slots:
            # An idle one makes way also where there is room: the nodes may have none.
            if slot.need != need and (slot.idle or (slot.starting and full)):
                self._retire(slot)
                break
        if len(self._slots) >= self.workers:
            return False
        # Ray shows it one GPU; it has as many sharers as shares of its size fit.
        share = GpuShare(0, int(1 / need.gpus) if 0 < need.gpus < 1 else 1)
        environment = worker_environment(share, need.cpus)
        given = (str(self._work.root), os.getcwd(), str(self._mark.path))
        self._slots.append(Slot(self._ray, need, environment, given))
        return True

    def _retire(self, slot: Slot) -> None:
        slot.end()
        self._slots.remove(slot)

    def _greet(self, slot: Slot) -> None:
        """A worker came to life, or did not."""
        try:
            slot.greet()
        except self._ray.exceptions.RayError as error:
            self._retire(slot)
            self._stillborn += 1
            if self._stillborn >= MOST_STILLBORN:
                raise EnvironmentFault(
                    "a worker must be able to start on every node of the Ray cluster, but got "
                    f"{MOST_STILLBORN} that did not ({last_line(error)}); look for the reason in "
                    "Ray's logs, at most nodes in /tmp/ray/session_latest/logs"
                ) from error
            return
        self._stillborn = 0
        self._mark.compare(slot.seen, slot.host)

    def _collect(self, slot: Slot, handle: int) -> Event:
        try:
            event = Event(handle, slot.collect())
            if event.outcome.spent:
                self._retire(slot)
            return event
        except self._ray.exceptions.RayTaskError as error:
            return Event(handle, Outcome("failed", str(error), 1))
        except self._ray.exceptions.RayError as error:
            self._bury(slot)
            self._retire(slot)
            why = ", its node low on memory" if "low on memory" in str(error) else ""
            reason = f"its worker on {slot.host} died{why}"
            return Event(handle, Outcome("lost", reason, 3, spent=True))

    def _bury(self, slot: Slot) -> None:
        """Have the dead worker's node, if it lives, free the job for workers of other nodes."""
        if slot.request is not None:
            lease = self._work.job(slot.request.spec).path / "lease.json"
            tell(self._ray, slot.node, bury_there, str(lease))

    def _watch(self) -> None:
        """Say so where workers have long been waiting for a node that went away."""
        now = time.monotonic()
        wanted = {slot.need for slot in self._slots if slot.starting}
        among = nodes(self._ray) if wanted else []
        nowhere = {need for need in wanted if not capacity(among, need)}
        self._nowhere_since = {need: self._nowhere_since.get(need, now) for need in nowhere}
        for need, since in self._nowhere_since.items():
            if now - since > WAITING_SECONDS:
                check(among, need)


def _share(workers: int, gpus: float) -> float:
    """Of a GPU for each worker, rounded down to what Ray counts in: k shares fit one GPU."""
    return math.floor(1e4 / math.ceil(workers / max(1.0, gpus))) / 1e4
