"""Job kind `matched-updates`: the updates of a segmenter that takes the generators' time as well.

What answers "the generators had compute that the baseline had not": the same segmenter, trained for
as many further updates as the training of the generators would have bought on this machine. The
seconds are those of all replicates, as their results recorded them; the tuning of either side is
left out.
"""

from __future__ import annotations

from harness.jobs.context import Context


def match_updates(context: Context) -> None:
    """Store `updates`, with the seconds behind it."""
    seconds = dict.fromkeys(("generator", "segmenter"), 0.0)
    for name in context.spec.inputs:
        what = name.partition(" ")[0]
        seconds[what] += float(context.input_result(name)["cost"]["seconds"])
    declared = int(context.spec.config["updates"])
    longer = declared * (1 + seconds["generator"] / max(seconds["segmenter"], 1e-3))
    took = {f"{what}_seconds": spent for what, spent in seconds.items()}
    context.finish([], {"updates": round(longer), **took})
