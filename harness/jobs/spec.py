"""What a job is, as plain data, and its digest.

A spec holds everything that changes the result and nothing that does not. Its digest is therefore
known before anything ran, and two commands that need the same job share its folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.base.files import digest_of


@dataclass(frozen=True, order=True)
class Input:
    """A finished job, or a checkpoint of a training at `epoch`, that another job reads."""

    kind: str
    digest: str
    epoch: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "digest": self.digest, "epoch": self.epoch}


@dataclass(frozen=True)
class Spec:
    """One job.

    Attributes:
        kind: registered job kind, e.g. "mask-stage".
        config: plain data (JSON types) that matter to the result.
        seed: root of the job's random streams.
        compute: device, precision, threads; empty where they do not matter.
        inputs: what the job reads, by name.
        recipe: version of the kind's code; raised when its results change.
    """

    kind: str
    config: Mapping[str, Any]
    seed: int = 0
    compute: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Input] = field(default_factory=dict)
    recipe: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The spec as JSON types; what the digest hashes and `spec.json` holds."""
        return {
            "kind": self.kind,
            "config": dict(self.config),
            "seed": self.seed,
            "compute": dict(self.compute),
            "inputs": {name: entry.to_dict() for name, entry in sorted(self.inputs.items())},
            "recipe": self.recipe,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Spec:
        inputs = {name: Input(**entry) for name, entry in value["inputs"].items()}
        return cls(
            value["kind"], value["config"], value["seed"], value["compute"], inputs, value["recipe"]
        )

    @cached_property
    def digest(self) -> str:
        return digest_of(self.to_dict())

    def done(self, epoch: int | None = None) -> Input:
        """The reference by which another job reads this one."""
        return Input(self.kind, self.digest, epoch)


@dataclass(frozen=True)
class Phases:
    """A training of a given length: one training, or a steady one and a decay that branches off it.

    Trainings of several lengths share the steady training.

    Attributes:
        steady: the training at a constant rate, up to `steady_epochs`.
        epochs: of the whole training.
        decay: the rest, a job of its own; its journal and samples begin with those of `steady`.
    """

    steady: Spec
    steady_epochs: int
    epochs: int
    decay: Spec | None = None

    @property
    def jobs(self) -> tuple[Spec, ...]:
        """The training, and the decay where there is one."""
        return (self.steady,) if self.decay is None else (self.steady, self.decay)

    @property
    def last(self) -> Spec:
        """The job whose journal is that of the whole training, once it began."""
        return self.decay or self.steady

    def at(self, epoch: int) -> Spec:
        """The job that has the checkpoint of an epoch."""
        return self.last if epoch > self.steady_epochs else self.steady

    def done(self) -> Input:
        """The end of the training."""
        return self.last.done(self.epochs)


@dataclass(frozen=True)
class Request:
    """A wish for a job's result; nothing here but `spec` changes a result.

    Attributes:
        spec: the job.
        epochs: for a training, the epochs whose checkpoints are wanted (ascending); else empty.
        pictures: about how many sample grids a training should leave.
        runtime: what the worker needs to find things (e.g. the data root); never stored.
        label: how people call the job, e.g. "mask stage, trial 3, seed 1".
        branches: epochs whose checkpoints keep the full state, for a phase that goes on from there.
    """

    spec: Spec
    epochs: tuple[int, ...] = ()
    pictures: int = 8
    runtime: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    branches: tuple[int, ...] = ()

    def merged(self, other: Request) -> Request:
        """One request for both wishes of the same training."""
        epochs = tuple(sorted({*self.epochs, *other.epochs}))
        branches = tuple(sorted({*self.branches, *other.branches}))
        pictures = max(self.pictures, other.pictures)
        return Request(self.spec, epochs, pictures, self.runtime, self.label, branches)

    def covers(self, other: Request) -> bool:
        """Whether `merged` with another wish for the same job is no other wish."""
        return (
            {*other.epochs} <= {*self.epochs}
            and {*other.branches} <= {*self.branches}
            and other.pictures <= self.pictures
        )

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "spec": self.spec.to_dict()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Request:
        plain = {**value, "spec": Spec.from_dict(value["spec"])}
        return cls(**{**plain, **{name: tuple(value[name]) for name in ("epochs", "branches")}})
