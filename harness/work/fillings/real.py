"""Fillings from the training patients' own pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.work.fillings.filling import Filling

if TYPE_CHECKING:
    from torch import Tensor

    from harness.data.pairs.store import Store
    from harness.jobs.context import Context


class Real(Filling):
    """The pairs that the GAN stages learn from, so that structure is about as frequent."""

    def pairs(self, context: Context, store: Store) -> tuple[Tensor, Tensor]:
        from harness.work.train.batches import load_pairs

        return load_pairs(store, self.rows(store))


class ExchangedLabels(Real):
    """The same CT, each with the masks of another pair."""

    def pairs(self, context: Context, store: Store) -> tuple[Tensor, Tensor]:
        from harness.work.train.batches import others

        ct, masks = super().pairs(context, store)
        return ct, masks[others(len(masks), context.spec.seed)]


REAL = Real("real pairs", ("#9a9a9a", "#0173b2"), as_stored=True)
REAL_AGAIN = Real(
    "real pairs, drawn by other random numbers",
    ("#e4c8b0", "#ca9161"),
    "what chance alone does",
    stream="other",
    as_stored=True,
)
EXCHANGED_LABELS = ExchangedLabels(
    "real pairs with the labels of others",
    ("#eaae7f", "#d55e00"),
    "must harm",
    as_stored=True,
    not_exported="whose labels are other pairs' on purpose",
)
NOTHING = Real("nothing, so that batches are smaller", ("#c9c9c9", "#56b4e9"), empty=True)
