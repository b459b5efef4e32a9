"""What is used of MONAI, without what is not: `import monai` loads every file of MONAI, MLflow with
them, which costs each process a second of its core."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _unwalked() -> Iterator[None]:
    """MONAI finds its files by `pkgutil.walk_packages`; the block leaves it without any to load."""
    walk: Callable[..., Any] = pkgutil.walk_packages

    def others(path: Any = None, prefix: str = "", onerror: Any = None) -> Any:
        return iter(()) if prefix == "monai." else walk(path, prefix, onerror)

    pkgutil.walk_packages = others
    try:
        yield
    finally:
        pkgutil.walk_packages = walk


with _unwalked():
    # First: monai.networks, which it imports, imports it.
    import monai.apps  # noqa: F401
    from monai.losses import DiceLoss
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_surface_dice,
    )
    from monai.metrics.meandice import compute_dice
    from monai.networks.layers.factories import Act
    from monai.networks.layers.simplelayers import SkipConnection
    from monai.networks.nets import DynUNet, UNet
    from monai.networks.nets.dynunet import DynUNetSkipLayer

__all__ = [
    "Act",
    "DiceLoss",
    "DynUNet",
    "DynUNetSkipLayer",
    "SkipConnection",
    "UNet",
    "compute_average_surface_distance",
    "compute_dice",
    "compute_hausdorff_distance",
    "compute_surface_dice",
]
