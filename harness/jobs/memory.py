"""What a job says that wants more memory than it may have.

The runner tries it once more in a new process, then stores the failure (`jobs.runner`); a sweep
tells its trial as failed (`sweep.planner`).
"""

from __future__ import annotations

import errno
import re

from harness.base.errors import EnvironmentFault, HarnessError, OutOfMemory
from harness.base.gpu_share import GpuShare
from harness.jobs.context import Context
from harness.jobs.kinds import KINDS

SIZES = ("batch_size", "width", "channels")
"""Settings of a training that decide on its memory."""

ON_THE_HOST = ("can't allocate memory", "could not create a primitive", "could not create a memory")
ON_A_GPU = ("out of memory", "_ALLOC_FAILED")
"""In the words of torch's allocators, of oneDNN, and of the libraries of CUDA."""

FOREIGN = 0.25
"""Of a GPU that one worker has to itself: what others may hold before they are to blame."""

_TRIED = re.compile(r"Tried to allocate ([0-9.]+) ([KMGT])iB")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def explain(error: BaseException, context: Context) -> HarnessError | None:
    """A refusal of memory in one sentence with the sizes of the job.

    Returns:
        OutOfMemory where the job is too large for its share of the device; EnvironmentFault where
        other programs hold what the job could have had; None where the error is another one, or a
        GPU that does not answer.
    """
    if _refused_by_the_machine(error):
        return OutOfMemory(
            f"a job must fit the machine's memory, but got one that does not ({_sizes(context)}); "
            f"take smaller sizes{_fewer(GpuShare.here().of)}"
        )
    if not _says(error, *ON_A_GPU):
        return None
    try:
        return _explain_gpu(error, context)
    except RuntimeError:
        return None


def wants_memory(error: BaseException) -> bool:
    """Whether an error says that there is not the memory, on the machine or on a GPU."""
    return _refused_by_the_machine(error) or _says(error, *ON_A_GPU)


def others_hold_it(
    tried: float | None, reserved: int, free: int, total: int, share: int, sharers: int
) -> bool:
    """Whether other programs hold the memory that a job was refused, and could have had.

    Args:
        tried: bytes refused; None where that is not known.
        reserved: bytes that the process had.
        share: bytes that it may have, of `total`.
    """
    if sharers == 1:
        return total - free - reserved > FOREIGN * total
    return tried is not None and reserved + tried <= share


def _explain_gpu(error: BaseException, context: Context) -> HarnessError:
    import torch

    worker, gpus = GpuShare.here(), torch.cuda.device_count()
    sharers, (free, total) = worker.sharers(gpus), torch.cuda.mem_get_info()
    share, name = worker.memory(gpus, total), torch.cuda.get_device_name()
    reserved = torch.cuda.memory_reserved()
    match = _TRIED.search(str(error))
    tried = float(match[1]) * _UNITS[match[2]] if match else None
    if others_hold_it(tried, reserved, free, total, share, sharers):
        return EnvironmentFault(
            f"a job must find {_gib(share)} of the GPU's memory free, but got '{name}' with "
            f"{_gib(free)} of {_gib(total)} left by other programs; end them, or wait, then type "
            "the command again"
        )
    what = "has" if sharers == 1 else f"has for each of {sharers} workers"
    return OutOfMemory(
        f"a job must fit its GPU, but got one that wants more than the {_gib(share)} that '{name}' "
        f"{what} ({_sizes(context)}); take smaller sizes{_fewer(sharers)}"
    )


def _refused_by_the_machine(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or _says(error, *ON_THE_HOST)


def _fewer(workers: int) -> str:
    return "" if workers == 1 else ", or (before a sweep) fewer --workers"


def _says(error: BaseException, *signs: str) -> bool:
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def _sizes(context: Context) -> str:
    """The sizes that a job is made of, in words."""
    config = context.spec.config
    sizes = [f"{name.replace('_', ' ')} {config[name]}" for name in SIZES if name in config]
    store = context.spec.inputs.get("store")
    if store is not None:
        crop = context.work.job(store).spec().config["crop"]
        edge = crop[KINDS.get(context.spec.kind).pixels]
        sizes.append(f"{edge} x {edge} pixels")
    return ", ".join([context.spec.kind, *sizes])


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
