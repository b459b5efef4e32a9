"""What a checkpoint says of its training: whether it had converged."""

from __future__ import annotations

from pathlib import Path

from factories.tiny import Tiny

from harness.jobs.context import Context
from harness.jobs.journal import Journal
from harness.jobs.spec import Request
from harness.work.train.checkpoints import finish_checkpoint


def test_a_winning_discriminator_is_a_failure_from_its_onset_on(tmp_path: Path) -> None:
    """Losses as at batch 64 of the thesis: read out before, at and after the collapse."""
    tiny = Tiny(tmp_path)
    context = Context(Request(tiny.mask(), (5, 30)), tiny.work)
    context.folder.open(context.spec)
    journal = Journal(context.folder.journal)
    for epoch in range(1, 31):
        lost = epoch > 10
        losses = {"train/d_loss": 0.001 if lost else 0.7, "train/g_loss": 8.9 if lost else 2.0}
        journal.log(epoch, losses)
    for epoch in (10, 30):
        path = context.folder.at(epoch) / "weights.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights")
        finish_checkpoint(context, epoch, journal.sync())
    journal.close()
    early, late = ((context.folder.result(epoch) or {})["values"] for epoch in (10, 30))
    assert early["converged"] is True
    assert late["converged"] is False
    assert late["failure"]["onset"] == 11
    assert "the discriminator wins" in late["failure"]["reason"]
