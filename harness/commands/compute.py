"""Device, precision, threads and extractor, resolved once per work folder and then frozen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.base.errors import Damaged, EnvironmentFault
from harness.base.files import digest_of, locked, read_record, write_record
from harness.base.registry import call_place
from harness.config.experiment import Experiment, to_dict
from harness.config.stages import StageConfig
from harness.work.specs import stage_settings

_NAMES = ("device", "precision", "threads")
_UNTIMED = "float32"
"""Of a network that was never timed in a work folder: nothing of it is there to be found."""

Ask = Callable[..., Any]


class Precisions(Mapping[str, str]):
    """Precision by section of the network, as frozen in a work folder; one that is not there yet is
    timed when it is asked for, for a job that is to compute in it.

    Args:
        asked: device and threads.
        known: what is frozen at `path`.
        freeze: time what is not there, and enter it.
        address: of the Ray cluster on whose best node it is timed; None: here.
        ask: calls the function at "module:function" where jobs compute.
    """

    def __init__(
        self,
        experiment: Experiment,
        asked: Mapping[str, Any],
        path: Path,
        known: Mapping[str, Any],
        freeze: bool,
        address: str | None,
        ask: Ask,
    ) -> None:
        self._experiment, self._asked = experiment, asked
        self._path, self._address, self._ask = path, address, ask
        self._known, self._freeze = known, freeze
        self._keys = {name: self._key(name) for name in ("mask", "image", "segmentation")}

    def __getitem__(self, section: str) -> str:
        key = self._keys[section]
        if key not in self._known and not self._freeze:
            return _UNTIMED
        if key not in self._known:
            found = self._time(section)
            with locked(self._path):  # a plan beside a running command may have timed it too
                frozen = _read(self._path)
                frozen["precision"].setdefault(key, found)
                write_record(self._path, frozen)
            self._known = frozen["precision"]
        return str(self._known[key]["precision"])

    def rate(self, section: str) -> float | None:
        """Images per second of the network in its precision, as timed when that was chosen; None
        in a folder that does not say."""
        precision, entry = self[section], self._known.get(self._keys[section])
        return entry["images_per_second"].get(precision) if entry else None

    def __iter__(self) -> Iterator[str]:
        return (section for section, key in self._keys.items() if key in self._known)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _time(self, section: str) -> Any:
        given = self._experiment, section, self._asked["device"], self._asked["threads"]
        if self._address is None:
            return self._ask("harness.commands.costs.step_timing:choose_precision", *given)
        from harness.commands.costs.step_timing import choose_precision

        return _on_best_node(self._address, choose_precision, *given)

    def _key(self, section: str) -> str:
        """Of a timing: what its rates depend on."""
        given, data = getattr(self._experiment, section), self._experiment.data
        settings = stage_settings(given) if isinstance(given, StageConfig) else to_dict(given)
        for name in ("schedule", "synthetic_weight"):  # of no weight in a step's time
            settings.pop(name, None)
        size = to_dict(data.crop), data.structures, data.mirror
        return f"{section} {digest_of([settings, *size, dict(self._asked)])[:12]}"


def resolve_here() -> dict[str, Any]:
    """What `auto` means on this machine, before a network was timed."""
    # One thread: several workers use the cores better than one with many threads.
    return {"device": "cuda" if _has_cuda() else "cpu", "precision": {}, "threads": 1}


def _on_best_node(address: str, question: Callable[..., Any], *given: Any) -> Any:
    """The answer of a Ray cluster's node with most GPUs, else most CPUs.

    Raises:
        EnvironmentFault: the cluster does not answer.
    """
    from harness.jobs.executors.cluster import connect, nodes
    from harness.jobs.executors.cluster_check import ask

    ray = connect(address)
    try:
        best = max(nodes(ray), key=lambda node: (node.gpus, node.cpus))
        ((_, found),) = ask(ray, [best], question, *given, gpu=best.gpus > 0)
    except BaseException:
        ray.shutdown()  # else the process would find this connection again, whatever the address
        raise
    return found


def resolve_compute(
    experiment: Experiment,
    root: Path,
    address: str | None = None,
    ask: Ask = call_place,
    freeze: bool = True,
) -> dict[str, Any]:
    """{"device", "precision", "threads"}: what the experiment says, `auto` as frozen in `root`; the
    precision may be one for all, or `Precisions`.

    Args:
        address: of the Ray cluster that computes; its executor says whether it has the GPUs.
        ask: calls the function at "module:function" where jobs compute.
        freeze: False only reads, also of a folder whose jobs had a GPU: nothing will be computed.

    Raises:
        EnvironmentFault: cuda is asked for (or was frozen) and there is none.
    """
    asked = {name: getattr(experiment.compute, name) for name in _NAMES}
    if "auto" in asked.values():
        path = root / "resolved.json"
        frozen = _frozen(path, address, freeze)
        asked = {name: frozen[name] if value == "auto" else value for name, value in asked.items()}
        if not isinstance(asked["precision"], str):
            rest = {name: asked[name] for name in ("device", "threads")}
            known = asked["precision"]
            asked["precision"] = Precisions(experiment, rest, path, known, freeze, address, ask)
    if address is None and freeze:
        where = "" if experiment.compute.device == "cuda" else " in this work folder"
        _refuse_without_gpu(asked["device"], where)
    return asked


def _refuse_without_gpu(device: str, where: str) -> None:
    if device == "cuda" and not _has_cuda():
        raise EnvironmentFault(
            f"compute.device is cuda{where}, but this machine has no usable GPU; run on the "
            f"machine with the GPU, or {'use another --workdir' if where else 'take auto or cpu'}"
        )


def _frozen(path: Path, address: str | None, freeze: bool) -> dict[str, Any]:
    if path.exists():
        return _read(path)
    found = resolve_here() if address is None else _on_best_node(address, resolve_here)
    if freeze:
        write_record(path, found)
    return dict(found)


def _read(path: Path) -> dict[str, Any]:
    """What was frozen.

    Raises:
        Damaged: nobody can tell.
    """
    try:
        return read_record(path)
    except Damaged as damaged:
        then = (
            "bring it back from a copy, or say compute.device, compute.precision and "
            "compute.threads in the experiment as the page has them; where it is removed, networks "
            "are timed again, and where that gives another precision all is trained again"
        )
        raise Damaged(path, damaged.why, then) from damaged


def _has_cuda() -> bool:
    if metadata.version("torch").endswith("+cpu"):  # built without: need not be loaded
        return False
    import torch

    return torch.cuda.is_available()


def default_workers(compute: dict[str, Any]) -> int:
    """Workers when none are asked for: the cores on a CPU, one on each GPU."""
    if compute["device"] != "cpu":
        import torch

        return max(1, torch.cuda.device_count())
    return max(1, (os.cpu_count() or 1) // int(compute["threads"]))


def resolve_extractor(experiment: Experiment, name: str) -> dict[str, str]:
    """{"name", "weights"} of a feature extractor: what "auto" means, the weights' SHA-256."""
    from harness.metrics.extractors.registry import ExtractorFiles, identify

    identity = identify(name, ExtractorFiles.of(to_dict(experiment.metrics)))
    return {"name": identity.name, "weights": identity.weights_digest}


def resolve_auditors(experiment: Experiment) -> tuple[dict[str, str], ...]:
    """The extractors of audits, each once; the segmenter is trained here, so without
    weights."""
    auditors: list[dict[str, str]] = []
    for name in experiment.metrics.audit_extractors:
        entry = {"name": name} if name == "segmenter" else resolve_extractor(experiment, name)
        if entry not in auditors:
            auditors.append(entry)
    return tuple(auditors)
