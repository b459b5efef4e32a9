"""What fills the extra places of an arm's batches: its jobs, its pairs, what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from harness.data.pairs.store import Store
    from harness.jobs.context import Context
    from harness.jobs.spec import Phases, Spec
    from harness.work.specs import Specs


class Needs(Protocol):
    """What a filling may ask for while one seed's chain is planned.

    Attributes:
        specs, store: build specs, from the store of the patients' pairs.
        seed: of the chain.
    """

    specs: Specs
    store: Spec
    seed: int

    def stage(self, name: str) -> Phases:
        """The seed's training of the "mask" or "image" stage."""
        ...

    def need(self, spec: Spec, what: str) -> None:
        """Ask for a job; `what` names it to people."""
        ...


@dataclass(frozen=True)
class Filling:
    """What fills the extra places; a subclass says where its pairs come from.

    Attributes:
        words: the pairs, in sentences about an arm.
        colours: of its arms without and with augmentation, "#rrggbb".
        purpose: what they are there to show, beside real pairs: its arms are controls; "" where
            that is plain.
        stream: of the random numbers that draw the extra places: arms of one stream draw alike.
        stages: GAN stages that it needs, "mask" and "image".
        generated: its pairs are none of the patients' own; their fraction of a batch is tuned.
        empty: it leaves the places empty on purpose.
        needs_source: `data.source` that it needs; "" for any.
        as_stored: its CT is that of `rows`, in their order and untouched: a segmenter that sees
            neighbouring slices is shown theirs; of others it sees copies.
        not_exported: why its pairs are no training set for others; "" where they are one.
    """

    words: str
    colours: tuple[str, str]
    purpose: str = ""
    stream: str = "shared"
    stages: tuple[str, ...] = ()
    generated: bool = False
    empty: bool = False
    needs_source: str = ""
    as_stored: bool = False
    not_exported: str = ""

    def job(self, needs: Needs) -> Spec | None:
        """The job that makes its store of pairs, all that it reads asked for; None without one."""
        return None

    def rows(self, store: Store) -> NDArray[np.intp]:
        """Rows of the patients' own store whose slices its pairs show: the training pairs that the
        GAN stages learn from, or none where its pairs are none of the patients' own."""
        rows = store.select(role="train", selected=True)
        return rows[:0] if self.generated or self.empty else rows

    def pairs(self, context: Context, store: Store) -> tuple[Tensor, Tensor]:
        """CT (n, 1, F, F) in [-1, 1] and masks (n, C, F, F) 0/1 for the extra places.

        Args:
            context: of the segmenter's job; its input "extra" is the store that `job` makes.
            store: the patients' own pairs.
        """
        raise NotImplementedError
