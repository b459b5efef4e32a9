"""Translation of values, names and pictures into what MLflow accepts."""

from __future__ import annotations

import math
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from harness.jobs.journal import JournalLine
from harness.tracking.journal_cursor import Picture

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

NAME_LENGTH = 250
TEXT_LENGTH = 6000
METRICS_A_BATCH = 800  # MLflow takes 1000 metrics, parameters and tags together
OTHERS_A_BATCH = 90
PREVIEW_PIXELS = 640


def clean_name(name: str) -> str:
    """A metric, parameter or picture name of letters, digits, spaces and `_ - . /`."""
    name = re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:NAME_LENGTH] or "_"


def to_metrics(lines: Sequence[JournalLine]) -> list[Metric]:
    """Journal lines as MLflow points, the journal's times kept, so that a replay is identical.

    MLflow stores infinity as the largest number, which spoils every chart: it becomes NaN, and
    `<name>_is_infinite` is 1 (-1 for minus infinity) at that step.
    """
    from mlflow.entities import Metric

    points = []
    for line in lines:
        name, value = clean_name(line.name), line.value
        if math.isinf(value):
            flag = math.copysign(1.0, value)
            points.append(Metric(f"{name}_is_infinite", flag, line.time, line.step))
            value = math.nan
        points.append(Metric(name, value, line.time, line.step))
    return points


def to_batches(
    metrics: Sequence[Metric], params: Mapping[str, str], tags: Mapping[str, str], last: str
) -> Iterator[tuple[Sequence[Metric], Sequence[Param], Sequence[RunTag]]]:
    """What each `log_batch` gets, cut to what it may hold; the tag `last` goes with the last one.

    Args:
        last: says what was sent, and is true only once everything else has arrived.
    """
    from mlflow.entities import Param, RunTag

    final = [RunTag(last, tags[last])] if last in tags else []
    settings = [Param(clean_name(name), value[:TEXT_LENGTH]) for name, value in params.items()]
    rest = [RunTag(name, text) for name, text in tags.items() if name != last]
    count = max(
        -(-len(metrics) // METRICS_A_BATCH),
        -(-len(settings) // OTHERS_A_BATCH),
        -(-len(rest) // OTHERS_A_BATCH),
        len(final),
    )
    for index in range(count):
        few = slice(index * OTHERS_A_BATCH, (index + 1) * OTHERS_A_BATCH)
        yield (
            metrics[index * METRICS_A_BATCH : (index + 1) * METRICS_A_BATCH],
            settings[few],
            rest[few] + (final if index == count - 1 else []),
        )


def send_pictures(
    client: MlflowClient, run_id: str, part: str, pictures: Sequence[Picture], time: int
) -> None:
    """Attach pictures as MLflow's stepped images, under names that a replay repeats.

    `MlflowClient.log_image` names its two files by a random uuid, so that sending a step again
    doubles it. The same two files under fixed names are shown just so.

    MLflow's slider opens at step 0, an epoch that no training has: the newest picture of each key
    stands there too, with its epoch written above it.

    Args:
        part: name of the part that they are of; with the run it makes the names unique.
        pictures: by epoch, ascending.
        time: milliseconds since 1970, the same in every replay.
    """
    newest = {picture.key: picture for picture in pictures}
    with tempfile.TemporaryDirectory() as scratch:

        def stem(key: str, step: int) -> Path:
            name = clean_name(f"samples/{key}").replace("/", "~")
            mark = uuid.uuid5(uuid.NAMESPACE_OID, f"{run_id}|{part}|{name}|{step}")
            return Path(scratch) / f"{name}+step+{step}+timestamp+{time}+{mark}"

        for picture in pictures:
            name = stem(picture.key, picture.epoch)
            shutil.copyfile(picture.path, f"{name}.png")
            with Image.open(picture.path) as image:
                _write_preview(image, name)
        for key, picture in newest.items():
            with Image.open(picture.path) as image:
                captioned = _captioned(image, f"newest: epoch {picture.epoch}")
            captioned.save(f"{stem(key, 0)}.png", compress_level=1)
            _write_preview(captioned, stem(key, 0))
        client.log_artifacts(run_id, scratch, "images")


def _write_preview(image: Image.Image, stem: Path) -> None:
    """`<stem>+compressed.webp`, what the charts show.

    Charts centre a picture in a square and cut the lower part off: the preview is a square with
    the picture at its top.
    """
    small = image.convert("RGBA")
    small.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
    square = Image.new("RGBA", (max(small.size),) * 2, (0, 0, 0, 0))
    square.paste(small, ((square.width - small.width) // 2, 0))
    square.save(f"{stem}+compressed.webp", quality=90, method=1)


def _captioned(image: Image.Image, text: str) -> Image.Image:
    """The image with a line of text above it, large enough to be read in a small chart."""
    size = max(16, image.width // 18)
    font = ImageFont.load_default(size)
    width = max(image.width, round(font.getlength(text)) + size)
    sheet = Image.new("RGB", (width, image.height + 2 * size), (40, 40, 40))
    sheet.paste(image.convert("RGB"), (0, 2 * size))
    ImageDraw.Draw(sheet).text((size // 2, size // 2), text, (255, 255, 255), font)
    return sheet
