"""Look into a folder of patients and write a commented experiment that suits it."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from harness.base.console import Console
from harness.base.errors import ConfigError
from harness.base.files import write_json, write_text
from harness.commands.compute import resolve_here
from harness.commands.init.look import Looked, look
from harness.commands.init.proposal import Proposal, propose
from harness.commands.init.targets import Target, choose_target, offers
from harness.commands.init.text import comments, found, proposed, usable, warnings
from harness.commands.output_folder import unwritable
from harness.config.data import DataConfig, ImagesConfig
from harness.config.json_schema import json_schema
from harness.config.load import parse_experiment
from harness.config.starter import Sizes, starter
from harness.config.yaml_text import write_yaml
from harness.data.roles import ROLES


def write_starter(
    root: Path,
    output: Path,
    name: str | None = None,
    structures: str | None = None,
    schema: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Survey a folder and write the experiment; an existing file is never overwritten.

    Args:
        root: of DICOM or volume files.
        name: of the experiment; None takes the file's, as far as it may be one: two files of one
            name would share a folder of results.
        structures: as of `choose_target`.
        schema: write the JSON schema of experiments beside it, for editors.

    Returns:
        Plain data: what was found, offered and chosen.

    Raises:
        ConfigError: the file exists or cannot be written, or `name` or `structures` is wrong.
        DataError: nobody in the folder has CT and contours, or nobody has the structures.
    """
    console, root = console or Console(quiet=True), root.expanduser().resolve()
    beside = output.with_name(f"{output.stem}.schema.json") if schema else None
    for path in (output, beside):
        if path is not None and path.exists():
            raise ConfigError(f"'{path}' exists already; name another file with --output")
    name = name or re.sub("[^A-Za-z0-9_.-]+", "-", output.stem).strip("_.-")[:61] or "experiment"
    parse_experiment(write_yaml({"name": name}), "the new experiment")
    with tempfile.TemporaryDirectory() as work:
        looked = look(root, Path(work, "private"), console)
        for line in found(looked, root):
            console.say(line)
        target = choose_target(looked, structures)
        console.say(f"chosen: {target.words} (others with --structures NAME or LEFT,RIGHT)")
        data = DataConfig(
            source=looked.source,
            root=str(root),
            structures=target.structures,
            patterns=dict(target.patterns),
            images=ImagesConfig(labels=dict(target.labels)),
        )
        proposal = propose(data, target, looked.files, Path(work), console)
    for line in warnings(target, proposal):
        console.warn(line)
    console.say(proposed(proposal))
    data = data.model_copy(
        update={"window_hu": proposal.window_hu, "spacing_mm": proposal.spacing_mm}
    )
    words = comments(looked, target, proposal, output)
    sizes = Sizes.of(os.cpu_count() or 1, resolve_here()["device"] == "cuda")
    _write(output, starter(name, data, words, sizes, beside.name if beside else None), beside)
    return {"experiment": str(output), **_to_dict(looked, target, proposal)}


def _write(output: Path, text: str, schema: Path | None) -> None:
    try:
        write_text(output, text)
        if schema is not None:
            write_json(schema, json_schema())
    except OSError as error:
        raise unwritable("--output", "a file that can be written", output, error) from error


def _to_dict(looked: Looked, target: Target, proposal: Proposal) -> dict[str, Any]:
    return {
        "source": looked.source,
        "patients": len(looked.people),
        "unusable": list(looked.reasons),
        "names": dict(looked.names),
        "offers": {offer.words: len(offer.people) for offer in offers(looked)},
        "structures": list(target.structures),
        "enough": usable(target, proposal) >= len(ROLES),
        "window_hu": list(proposal.window_hu),
        "spacing_mm": proposal.spacing_mm,
    }
