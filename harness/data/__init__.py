"""From source files to stores of pairs."""

from harness.base.door import door

__all__, __getattr__ = door(
    __name__,
    {
        "config.data": "DataConfig",
        "work.prepare.sources": "make_source",
        "data.scan": "Reference Scan Excluded",
        "data.pairs.store": "Store",
        "commands.inspect.command": "inspect_folder",
    },
)
