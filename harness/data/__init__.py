"""From source files to stores of pairs."""

from harness.base.door import door

_NAMES = {
    "DataConfig": "harness.config.data:DataConfig",
    "open_source": "harness.work.prepare.sources:make_source",
    "Reference": "harness.data.scan:Reference",
    "Scan": "harness.data.scan:Scan",
    "Excluded": "harness.data.scan:Excluded",
    "Store": "harness.data.pairs.store:Store",
    "inspect_folder": "harness.commands.inspect.command:inspect_folder",
}
__all__ = list(_NAMES)
__getattr__ = door(__name__, _NAMES)
