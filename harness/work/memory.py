"""What a job says that wants more memory than it may have."""

from __future__ import annotations

from harness.base.errors import EnvironmentFault, HarnessError, OutOfMemory
from harness.base.place import Place
from harness.work.context import Context

SIZES = ("batch_size", "width", "channels")
"""Settings of a training that decide on its memory."""

SIGNS = ("out of memory", "can't allocate memory", "_ALLOC_FAILED")
"""Of torch, its allocator on a CPU, and the libraries of CUDA, in their own words."""

FOREIGN = 0.1
"""Part of its share that a job may miss (a screen, contexts) before other programs are to blame."""


def refused_memory(error: BaseException) -> bool:
    """Whether an error says that memory was asked for and not to be had."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def explain(context: Context) -> HarnessError:
    """A refusal of memory in one sentence with the sizes of the job.

    Returns:
        OutOfMemory where the job is too large for its share of the device; EnvironmentFault where
        other programs hold what the job could have had.
    """
    of = _sizes(context)
    if context.spec.compute.get("device") != "cuda":
        return OutOfMemory(
            f"a job must fit the machine's memory, but got one that does not ({of}); take smaller "
            "sizes, or fewer --workers"
        )
    import torch

    place, gpus = Place.here(), torch.cuda.device_count()
    sharers = place.sharers(gpus)
    free, total = torch.cuda.mem_get_info()
    share = total * place.memory(gpus)
    name = torch.cuda.get_device_name()
    if free + torch.cuda.memory_reserved() < share * (1 - FOREIGN):
        return EnvironmentFault(
            f"a job must find {_gib(share)} of the GPU's memory free, but got '{name}' with "
            f"{_gib(free)} of {_gib(total)} left by other programs; end them, or wait, then type "
            "the command again"
        )
    what = "has" if sharers == 1 else f"has for each of {sharers} workers"
    return OutOfMemory(
        f"a job must fit its GPU, but got one that wants more than the {_gib(share)} that '{name}' "
        f"{what} ({of}); take smaller sizes{', or fewer --workers' if sharers > 1 else ''}"
    )


def _sizes(context: Context) -> str:
    """The sizes that a job is made of, in words."""
    config = context.spec.config
    said = [f"{name.replace('_', ' ')} {config[name]}" for name in SIZES if name in config]
    store = context.spec.inputs.get("store")
    if store is not None:
        edge = context.work.job(store).spec().config["crop"]["frame_px"]
        said.append(f"{edge} x {edge} pixels")
    return ", ".join([f"{context.spec.kind}", *said])


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
