"""`training`: images a second of every network beside plain PyTorch steps of the published recipes.

Also what share of the device's measured convolution peak a step reaches: floating-point operations
as torch counts them, over the fastest of a few convolutions, forwards and backwards.

The references are PyTorch's DCGAN example, the official pix2pix and MONAI's U-Net under Dice +
cross-entropy: float32, NCHW, torch's own Adam, on the same networks. All are timed in turn in one
process, so that other load falls on all alike; images are drawn, no patients are needed.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from monai.losses import DiceLoss
from monai.networks.nets import UNet
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss
from torch.utils.flop_counter import FlopCounterMode

from harness.commands.compute import resolve_here
from harness.commands.costs.step_timing import WORTH
from harness.config.experiment import to_dict
from harness.config.stages import DcganConfig, Pix2pixConfig, SegmentationAugmentation, UnetConfig
from harness.models.dcgan import Discriminator, Generator
from harness.models.pix2pix import PatchDiscriminator, UnetGenerator
from harness.training.augmentation import augment_pairs
from harness.training.precision import PRECISIONS, Precision
from harness.work.train.dcgan import Dcgan
from harness.work.train.pix2pix import Pix2pix
from harness.work.train.unet import Unet

FRAME_PX, MASK_PX = 128, 64
CELLS = (
    *(("mask", 12), ("mask", 64), ("image", 4), ("image", 16)),
    *(("segmenter", 16), ("segmenter, augmented", 16)),
)
"""Network and batch size: the thesis's, the largest of the default search, and our U-Net's."""

FAST, ORDINARY, LEAST = {4: 1.5, 12: 1.5, 16: 1.7, 64: 1.7}, 1.2, 1.0
"""Ratios to reach by batch size where bfloat16 is fast (a GPU, AMX), elsewhere, and everywhere."""

Step = Callable[[], Any]


def main(options: Sequence[str]) -> int:
    """Print the table; 1 if what `auto` takes is below its target."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks training")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round of each step")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(options)
    device = str(resolve_here()["device"])
    fast = device == "cuda" or "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    rows = [_row(name, size, device, fast, asked) for name, size in CELLS]
    peaks = {name: _peak(name, device, asked) for name in PRECISIONS}
    for row in rows:
        row["share_of_peak"] = row["gflops"] / peaks[row["auto"]]
    if asked.json:
        print(
            json.dumps(
                {
                    "device": device,
                    "threads": asked.threads,
                    "fast": fast,
                    "peaks": peaks,
                    "rows": rows,
                }
            )
        )
    else:
        _print(rows, peaks, device, fast, asked)
    return int(any(row["ratio"] < row["target"] for row in rows))


def _print(
    rows: Sequence[dict[str, Any]], peaks: dict[str, float], device: str, fast: bool, asked: Any
) -> None:
    kind = "fast" if fast else "no fast"
    print(
        f"{device}, {asked.threads} threads, {kind} bfloat16; "
        f"medians of {asked.rounds} rounds, images/s"
    )
    print("peak of a convolution, GFLOP/s: " + ", ".join(f"{k} {v:.0f}" for k, v in peaks.items()))
    heads = ("reference", *PRECISIONS, "auto", "ratio", "target", "GFLOP/s", "of peak")
    print(f"{'network':22}{'batch':>6}" + "".join(f"{head:>11}" for head in heads))
    for row in rows:
        rates = "".join(f"{row[head]:11.1f}" for head in heads[:3])
        word = "" if row["ratio"] >= row["target"] else "   MISSED"
        print(
            f"{row['network']:22}{row['batch']:6}{rates}{row['auto']:>11}{row['ratio']:11.2f}"
            f"{row['target']:11.2f}{row['gflops']:11.0f}{row['share_of_peak']:11.0%}{word}"
        )


def _row(name: str, size: int, device: str, fast: bool, asked: Any) -> dict[str, Any]:
    """Medians of the rates, and the median over the rounds of the ratio of `auto`'s choice."""
    steps = {"reference": REFERENCES[name](size, torch.device(device))}
    for precision in PRECISIONS:
        compute = {"device": device, "precision": precision, "threads": asked.threads}
        steps[precision] = _ours(name, size, Precision.of(compute))
    with FlopCounterMode(display=False) as counter:
        steps["float32"]()
    each_image = counter.get_total_flops() / size / 1e9
    rates: dict[str, list[float]] = {each: [] for each in steps}
    for _ in range(asked.rounds):
        for each, step in steps.items():
            rates[each].append(size / _seconds(step, device, asked.seconds))
    medians = {each: median(values) for each, values in rates.items()}
    auto = "bfloat16" if medians["bfloat16"] >= WORTH * medians["float32"] else "float32"
    pairs = zip(rates[auto], rates["reference"], strict=True)
    target = (FAST[size] if fast else ORDINARY) if name in ("mask", "image") else LEAST
    return {
        "network": name,
        "batch": size,
        **medians,
        "auto": auto,
        "gflops": each_image * medians[auto],
        "ratio": median(ours / theirs for ours, theirs in pairs),
        "target": target,
    }


def _drawn(size: int) -> tuple[Tensor, Tensor]:
    ct = torch.rand(size, 1, FRAME_PX, FRAME_PX) * 2 - 1
    return ct, (torch.rand(size, 1, FRAME_PX, FRAME_PX) > 0.9).float()


def _augmented(size: int) -> Callable[[], tuple[Tensor, Tensor]]:
    pairs, source = _drawn(size), torch.Generator().manual_seed(0)
    return lambda: augment_pairs(*pairs, SegmentationAugmentation(), source)


def _ours(name: str, size: int, precision: Precision) -> Step:
    if name == "mask":
        mask = Dcgan(to_dict(DcganConfig()), 1, MASK_PX, precision)
        mask.begin(0)
        images = torch.rand(size, 1, MASK_PX, MASK_PX) * 2 - 1
        return lambda: mask.step({"images": images})
    ct, masks = _drawn(size)
    if name == "image":
        image = Pix2pix(to_dict(Pix2pixConfig()), 1, FRAME_PX, precision)
        image.begin(0)
        return lambda: image.step({"masks": masks * 2 - 1, "ct": ct})
    unet = Unet(to_dict(UnetConfig()), 1, FRAME_PX, precision)
    unet.begin(0)
    if name == "segmenter":
        return lambda: unet.step({"ct": ct, "masks": masks})
    augment = _augmented(size)
    return lambda: unet.step(dict(zip(("ct", "masks"), augment(), strict=True)))


def _dcgan(size: int, device: torch.device) -> Step:
    generator, discriminator = Generator().to(device), Discriminator().to(device)
    adams = [_adam(network) for network in (discriminator, generator)]
    real = (torch.rand(size, 1, MASK_PX, MASK_PX) * 2 - 1).to(device)

    def step() -> None:
        discriminator.zero_grad()
        _loss(discriminator(real), 1).backward()
        fake = generator(torch.randn(size, 100, 1, 1, device=device))
        _loss(discriminator(fake.detach()), 0).backward()
        adams[0].step()
        generator.zero_grad()
        _loss(discriminator(fake), 1).backward()
        adams[1].step()

    return step


def _pix2pix(size: int, device: torch.device) -> Step:
    generator, discriminator = UnetGenerator().to(device), PatchDiscriminator().to(device)
    adams = [_adam(network) for network in (discriminator, generator)]
    ct, masks = (part.to(device) for part in _drawn(size))

    def step() -> None:
        fake = generator(masks)
        discriminator.requires_grad_(True)
        adams[0].zero_grad()
        on_fake = _loss(discriminator(torch.cat([masks, fake.detach()], 1)), 0)
        ((on_fake + _loss(discriminator(torch.cat([masks, ct], 1)), 1)) / 2).backward()
        adams[0].step()
        discriminator.requires_grad_(False)
        adams[1].zero_grad()
        judged = _loss(discriminator(torch.cat([masks, fake], 1)), 1)
        (judged + 100 * l1_loss(fake, ct)).backward()
        adams[1].step()

    return step


def _unet(pairs: Callable[[], tuple[Tensor, Tensor]], device: torch.device) -> Step:
    config = UnetConfig()
    channels, strides = config.channels, (2,) * (len(config.channels) - 1)
    unet = UNet(2, 1, channels[0], channels, strides, num_res_units=config.residual_units)
    network = nn.Sequential(unet, nn.Conv2d(channels[0], 1, 1)).to(device)
    adam, dice = torch.optim.Adam(network.parameters(), 1e-3), DiceLoss(sigmoid=True, batch=True)

    def step() -> None:
        ct, masks = (part.to(device) for part in pairs())
        logits = network(ct)
        adam.zero_grad()
        (dice(logits, masks) + binary_cross_entropy_with_logits(logits, masks)).backward()
        adam.step()

    return step


def _plain_unet(size: int, device: torch.device) -> Step:
    pairs = _drawn(size)
    return _unet(lambda: pairs, device)


REFERENCES: dict[str, Callable[[int, torch.device], Step]] = {
    "mask": _dcgan,
    "image": _pix2pix,
    "segmenter": _plain_unet,
    "segmenter, augmented": lambda size, device: _unet(_augmented(size), device),
}


def _adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999))


def _loss(logits: Tensor, label: float) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def _seconds(step: Step, device: str, least: float) -> float:
    """Of one step, over at least `least` seconds after one that is not counted."""
    step()
    _wait(device)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < least:
        for _ in range(4 if device == "cuda" else 1):
            step()
            count += 1
        _wait(device)
    return (time.perf_counter() - started) / count


def _peak(precision: str, device: str, asked: Any) -> float:
    """GFLOP/s of the fastest of some convolutions of batch 16, forwards and backwards."""
    found = []
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    place = {"device": device, "dtype": dtype}
    for channels, edge in ((64, 64), (128, 32), (256, 16)):
        layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False, **place)
        layer = layer.to(memory_format=torch.channels_last)
        x = torch.randn(16, channels, edge, edge, **place, requires_grad=True)
        x = x.contiguous(memory_format=torch.channels_last)
        upper = torch.randn(16, channels, edge, edge, **place)
        upper = upper.contiguous(memory_format=torch.channels_last)

        def step(layer: nn.Module = layer, x: Tensor = x, upper: Tensor = upper) -> None:
            torch.autograd.grad(layer(x), (x, *layer.parameters()), upper)

        operations = 3 * 2 * 9 * channels**2 * edge**2 * 16
        found += [operations / _seconds(step, device, asked.seconds / 4) for _ in range(3)]
    return max(found) / 1e9


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
