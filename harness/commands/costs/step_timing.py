"""Steps of each network of an experiment, timed on this machine: which precision is faster, and how
fast."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import torch

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]

from harness.base.errors import EnvironmentFault, OutOfMemory
from harness.base.text import size
from harness.commands.doctor.machine import free_memory
from harness.config.experiment import Experiment, to_dict
from harness.data.pairs.framing import channels_of
from harness.jobs.memory import SIZES, wants_memory
from harness.training.precision import PRECISIONS, Precision, has_bfloat16
from harness.work.train.networks import image_network, mask_network, segmenter

SECONDS = 1.0
"""About as long the precisions of a network are timed together at most."""

CLEAR = 1.25
"""A ratio of rates that is believed after a few steps."""

CONTEXT = 600_000_000
"""Bytes of a GPU that a process takes beside its tensors."""

WORTH = 1.05
"""How much faster bfloat16 must be to be taken: float32 says the same with more digits."""


@dataclass(frozen=True)
class Memory:
    """Memory of the machine, or of its GPUs, in bytes.

    Attributes:
        worker: that steps of an experiment's networks took in this process: about a worker's.
        free: of the machine, or of the GPU with least.
        devices: how many of them share the workers.
    """

    worker: int
    free: int
    devices: int
    of_gpu: bool


def memory_here(device: str) -> Memory:
    """What this process took at most so far, and what is free."""
    if device == "cuda":
        gpus = range(torch.cuda.device_count())
        free = min(torch.cuda.mem_get_info(n)[0] for n in gpus)
        return Memory(CONTEXT + torch.cuda.max_memory_reserved(), free, len(gpus), True)
    own = psutil.Process().memory_info()
    peak = getattr(own, "peak_wset", own.rss)  # of Windows
    if resource:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = most if sys.platform == "darwin" else most * 1024
    return Memory(peak, free_memory() + own.rss, 1, False)


MAKERS: Mapping[str, Callable[..., Any]] = {
    "mask": mask_network,
    "image": image_network,
    "segmentation": segmenter,
}


def choose_precision(experiment: Experiment, section: str, device: str, threads: int) -> Any:
    """{"precision", "images_per_second": {precision: rate}} for the network of a section of the
    experiment, by steps on drawn images."""
    if device == "cuda" and not torch.cuda.is_available():
        raise EnvironmentFault(
            "compute.device may be cuda only where torch finds a GPU, but got a machine without "
            "one; take cpu or auto"
        )
    names = PRECISIONS if has_bfloat16(device) else ("float32",)
    computes = {name: {"device": device, "precision": name, "threads": threads} for name in names}
    settings = getattr(experiment, section)
    with within_memory(section, settings):
        steps = {name: _step(experiment, section, compute) for name, compute in computes.items()}
        return faster(steps, settings.batch_size, device)


@contextmanager
def within_memory(section: str, settings: Any) -> Iterator[None]:
    """Where the block wants more memory than is free, it is refused in a sentence; without a bound
    the system would end this process, and others.

    Raises:
        OutOfMemory: it wants more.
    """
    limit = getattr(resource, "RLIMIT_AS", None) if resource else None
    free = int(0.9 * free_memory())  # others want some as well
    if limit is not None:
        before = resource.getrlimit(limit)
        bound = psutil.Process().memory_info().vms + free
        hard = before[1]
        most = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(limit, (most, hard))
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not wants_memory(error):
            raise
        sizes = ", ".join(
            f"{name.replace('_', ' ')} {getattr(settings, name)}"
            for name in SIZES
            if hasattr(settings, name)
        )
        raise OutOfMemory(
            f"a step of the {section} network must fit in the {size(free)} that are free, "
            f"but got one that does not ({sizes}); take smaller sizes"
        ) from error
    finally:
        if limit is not None:
            resource.setrlimit(limit, before)


def image_rate(experiment: Experiment, section: str, compute: Mapping[str, Any]) -> float:
    """Images per second of a network's steps in the precision, on the device and with the threads
    of `compute`."""
    precision, settings = compute["precision"], getattr(experiment, section)
    with within_memory(section, settings):
        steps = {precision: _step(experiment, section, compute)}
        timed = faster(steps, settings.batch_size, compute["device"])
    return float(timed["images_per_second"][precision])


def network_size(
    experiment: Experiment, section: str, compute: Mapping[str, Any]
) -> tuple[int, int]:
    """Parameters of all networks that a section trains, and numbers in a checkpoint of it."""
    with within_memory(section, getattr(experiment, section)):
        network = _network(experiment, section, compute)
    parameters = [p for part in network.networks.values() for p in part.parameters()]
    kept = network.weights().values()
    return sum(p.numel() for p in parameters), sum(value.numel() for value in kept)


def faster(steps: Mapping[str, Callable[[], Any]], images: int, device: str) -> dict[str, Any]:
    """The precision to take of two whose steps see so many images, and the rates of both: timed in
    turn until they differ clearly or their time is over."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    clear = timed = False
    while not (clear or timed):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if device == "cuda":
                torch.cuda.synchronize()
            taken[name].append(time.perf_counter() - started)
        # Without the first step, which allocates; the fastest is the least disturbed.
        best = {name: min(seconds[1:] or seconds) for name, seconds in taken.items()}
        rounds = len(next(iter(taken.values())))
        spent = sum(map(sum, taken.values()))
        alone = len(best) == 1 and spent > SECONDS / 4
        clear = rounds > 3 and (alone or max(best.values()) > CLEAR * min(best.values()))
        timed = rounds > 1 and spent > SECONDS
    asked = {name: seconds * (WORTH if name == "bfloat16" else 1) for name, seconds in best.items()}
    return {
        "precision": min(asked, key=lambda name: asked[name]),
        "images_per_second": {name: round(images / seconds, 1) for name, seconds in best.items()},
    }


def _network(experiment: Experiment, section: str, compute: Mapping[str, Any]) -> Any:
    data = experiment.data
    meta = {"channels": channels_of(data.structures, data.mirror), **to_dict(data.crop)}
    network = MAKERS[section](to_dict(getattr(experiment, section)), meta, Precision.of(compute))
    network.begin(0)
    return network


def _step(experiment: Experiment, section: str, compute: Mapping[str, Any]) -> Callable[[], Any]:
    network, config = _network(experiment, section, compute), getattr(experiment, section)
    channels = channels_of(experiment.data.structures, experiment.data.mirror)
    edge = getattr(experiment.data.crop, "mask_px" if section == "mask" else "frame_px")
    source, size = torch.Generator().manual_seed(0), config.batch_size

    def drawn(count: int) -> torch.Tensor:
        return torch.rand(size, count, edge, edge, generator=source) * 2 - 1

    masks, ct = (drawn(len(channels)) > 0.8).float(), drawn(1)
    batch = {
        "mask": {"images": ct if getattr(config, "learns", "") == "ct" else masks * 2 - 1},
        "image": {"masks": masks * 2 - 1, "ct": ct},
        "segmentation": {"masks": masks, "ct": ct},
    }[section]
    return lambda: network.step(batch)
