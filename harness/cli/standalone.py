"""Commands that stand alone: settings, a starter, and doors to one capability each."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.base.console import Console, emit_json
from harness.base.disk import may_write
from harness.base.errors import ConfigError
from harness.cli.options import (
    DEFAULT_WORKDIR,
    Json,
    Options,
    Overrides,
    Quiet,
    Workdir,
    app,
    experiment_command,
)

COLUMN = "what the file calls it; default: the same word"
Column = Annotated[str | None, typer.Option(metavar="COLUMN", help=COLUMN)]


@app.command()
def config(
    experiment: Annotated[
        Path | None, typer.Argument(metavar="EXPERIMENT", help="experiment file (YAML)")
    ] = None,
    overrides: Overrides = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="print the JSON schema of experiments instead")
    ] = False,
    json: Json = False,
) -> None:
    """Print the experiment resolved, each setting documented."""
    from harness.config.json_schema import json_schema
    from harness.config.load import load_experiment
    from harness.config.render import render

    if schema:
        emit_json(json_schema())
        return
    if experiment is None:
        raise ConfigError("config needs an experiment file, but got none; name one, or --schema")
    loaded = load_experiment(experiment, overrides or [])
    if json:
        emit_json(loaded.model_dump(mode="json"))
    else:
        sys.stdout.write(render(loaded))


@app.command()
def init(
    root: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="your patients: DICOM, NIfTI, NRRD, MetaImage")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="file to write")] = Path(
        "experiment.yaml"
    ),
    name: Annotated[
        str | None, typer.Option(help="name of the experiment; default: that of the file")
    ] = None,
    structures: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="what it is about: a structure, the left and right one, or names of your ROIs; "
            "default: what most patients have",
        ),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="also write the JSON schema, for editors")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a starter experiment that suits your own patients.

    Prints names of ROIs and files of your own data.
    """
    from harness.commands.init.command import write_starter

    console = Console(quiet=quiet)
    found = write_starter(root, output, name, structures, schema, console)
    if json:
        emit_json(found)
    console.say(f"wrote {output}")
    if found["enough"]:
        console.say(f"next: {shlex.join(['harness', 'prepare', str(output)])}")


@app.command()
def inspect(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="DICOM files, any layout")],
    masks: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="write the masks of all ROIs there, with their images"),
    ] = None,
    format: Annotated[str, typer.Option(help="of the masks: nifti or nrrd")] = "nifti",
    experiment: Annotated[
        Path | None,
        typer.Option(metavar="EXPERIMENT", help="whose structures and patterns map ROI names"),
    ] = None,
    workdir: Workdir = DEFAULT_WORKDIR,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what is in a folder of DICOM files, ROI by ROI.

    Prints names of files and ROIs of your own data. Pseudonyms are those of the work folder where
    it has any.
    """
    from harness.commands.inspect.command import inspect_folder
    from harness.commands.inspect.text import show
    from harness.config.load import load_experiment
    from harness.jobs.folder import WorkFolder

    console = Console(quiet=quiet)
    WorkFolder(workdir).check_format()
    data = load_experiment(experiment, []).data if experiment else None
    found = inspect_folder(folder, masks, data, workdir, format, console)
    if json:
        emit_json(found)
    else:
        show(found, sys.stdout)
    if masks is not None:
        console.say(f"\nmasks: {masks / 'files.json'}")


@app.command()
def score(
    real: Annotated[
        Path,
        typer.Argument(
            metavar="REAL", help="folder of PNG, NPY, NIfTI, NRRD or DICOM files, or a store"
        ),
    ],
    synthetic: Annotated[Path, typer.Argument(metavar="SYNTHETIC", help="likewise")],
    patients: Annotated[
        str | None,
        typer.Option(
            metavar="CSV|REGEX",
            help="whose image it is: a table image,patient, or the group of an expression",
        ),
    ] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="values that become 0 and 1; PNG needs none"),
    ] = None,
    heldout: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="real images the generator never saw: judges memorisation"
        ),
    ] = None,
    extractor: Annotated[
        list[str] | None,
        typer.Option(
            help="auto (default), inception-v3, efficientnet-lite0, torchscript; repeatable"
        ),
    ] = None,
    torchscript: Annotated[
        Path | None, typer.Option(metavar="FILE", help="your extractor; its code is run")
    ] = None,
    inception_weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="weights of inception-v3")
    ] = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="also SSIM, PSNR, MAE of files of one name")
    ] = False,
    output: Annotated[Path, typer.Option("-o", "--output", help="folder of the results")] = Path(
        "harness-score"
    ),
    most: Annotated[int, typer.Option(min=2, help="images a side; more are drawn from")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="draws subsets and splits")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score two sets of images, real and synthetic, of any source."""
    from harness.commands.score.command import score_sets
    from harness.commands.score.request import ScoreRequest
    from harness.commands.score.text import lines, show
    from harness.metrics.extractors.registry import ExtractorFiles

    request = ScoreRequest(
        real,
        synthetic,
        heldout,
        window,
        patients,
        tuple(extractor or ()),
        ExtractorFiles(inception_weights, torchscript),
        paired,
        output,
        most,
        seed,
    )
    console = Console(quiet=quiet)
    found = score_sets(request, console, console.warn if json else show)
    if json:
        emit_json(found)
    else:
        show("\n".join(lines(found)))
    console.say(f"\nresults: {output / 'score.json'}")


@experiment_command(jobs=False)
def export(
    format: Annotated[str, typer.Argument(metavar="FORMAT", help="nnunet")],
    options: Options,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="folder for datasets, which nnU-Net calls nnUNet_raw"),
    ],
    arm: Annotated[
        str | None, typer.Option(help="adds the pairs that were generated for this arm")
    ] = None,
    replicate: Annotated[
        int | None, typer.Option(help="whose generated pairs; default: the first replicate's")
    ] = None,
    dataset_id: Annotated[int, typer.Option(min=1, max=999, help="nnU-Net's number")] = 501,
    folds: Annotated[int, typer.Option(min=2, help="of splits_final.json, by patient")] = 5,
    test: Annotated[
        bool, typer.Option("--test", help="test patients too, once compare evaluated on them")
    ] = False,
) -> None:
    """Write what segmenters learn from as a dataset of nnU-Net v2."""
    if format != "nnunet":
        raise ConfigError(f"export knows the format nnunet, but got '{format}'; type nnunet")
    session = options.session(reads_patients=may_write(options.workdir))
    from harness.commands.export.nnunet import ExportRequest, export_nnunet
    from harness.commands.export.text import commands, lines, warnings

    found = export_nnunet(session, ExportRequest(output, arm, replicate, dataset_id, folds, test))
    for line in lines(found):
        options.console.say(line)
    for line in warnings(found):
        options.console.warn(line)
    options.finish(found, f"dataset: {found['dataset']}", "\n      ".join(commands(found)))


@app.command()
def decide(
    scores: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES",
            help="CSV: patient, replicate, arm, value; or a column for each arm",
        ),
    ],
    baseline: Annotated[str | None, typer.Option(metavar="ARM", help="what is to beat")] = None,
    candidate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARM", help="what may beat it; of several, all are adjusted for their number"
        ),
    ] = None,
    looked_at: Annotated[
        int,
        typer.Option(
            metavar="N", help="candidates looked at on these patients before, which count as well"
        ),
    ] = 0,
    looks: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="numbers of replicates at which you declared to look, such as 5,8,10",
        ),
    ] = None,
    margin: Annotated[
        list[float] | None,
        typer.Option(
            help="smallest difference that matters, in the unit of value; default: 0.01 for values "
            "in 0 to 1; once for each --value"
        ),
    ] = None,
    better: Annotated[
        list[str] | None,
        typer.Option(
            metavar="higher|lower",
            help="which values are better; default: higher in 0 to 1; once for each --value",
        ),
    ] = None,
    secondary: Annotated[
        list[str] | None,
        typer.Option(metavar="BASELINE:CANDIDATE", help="adjusted for their number; repeatable"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="also draw a figure, .png or .svg"),
    ] = None,
    patient: Column = None,
    replicate: Column = None,
    arm: Column = None,
    value: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="column of that name; of several measures, all must succeed"
        ),
    ] = None,
    any_may: Annotated[
        bool, typer.Option("--any", help="of several measures, any may succeed: each is adjusted")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="whose parts (lesions, sides) are averaged first; `patient`: patients are people",
        ),
    ] = None,
    centre: Column = None,
    fold: Column = None,
    cohort: Column = None,
    arms: Annotated[
        str | None,
        typer.Option(metavar="COLUMN,COLUMN", help="the columns that are arms, one for each"),
    ] = None,
    unpaired: Annotated[
        bool,
        typer.Option(
            "--unpaired", help="replicate 3 of one arm has nothing to do with 3 of another"
        ),
    ] = False,
    other_centres: Annotated[
        bool | None,
        typer.Option(
            "--other-centres/--these-centres",
            help="for whom it is claimed; default: others from ten centres on",
        ),
    ] = None,
    deterministic: Annotated[
        list[str] | None,
        typer.Option(metavar="ARM", help="nothing in it is random (an atlas); repeatable"),
    ] = None,
    observer: Annotated[
        str | None,
        typer.Option(
            metavar="ARM",
            help="a second observer, and so the baseline: values are closeness to the first",
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Does one arm beat another? For any table of scores.

    Patients and replicates both count as random.
    """
    from harness.commands.decide.command import decide_measures
    from harness.commands.decide.request import DecideRequest, of_each_measure
    from harness.commands.decide.text import lines
    from harness.inference.score_columns import Columns

    named = tuple(name.strip() for name in arms.split(",")) if arms else ()
    request = DecideRequest(
        scores,
        baseline,
        tuple(candidate or ()),
        None,
        tuple(secondary or ()),
        output,
        None,
        Columns(patient, replicate, arm, None, cluster, centre, fold, cohort, named),
        None,
        tuple(deterministic or ()),
        unpaired,
        other_centres,
        looked_at,
        looks,
        observer,
    )
    console = Console(quiet=quiet)
    each = of_each_measure(request, value or [], margin or [], better or [])
    found = decide_measures(each, console, any_may)
    if json:
        emit_json(found)
    else:
        sys.stdout.write("\n".join(lines(found)) + "\n")
        sys.stdout.flush()
    if found["figure"]:
        console.say(f"\nfigure: {found['figure']}")
