"""What a folder holds, so that any change of it shows."""

from __future__ import annotations

from pathlib import Path


def tree(root: Path, folders: bool = True) -> dict[str, tuple[int, ...]]:
    """Inode, size and time of every file below `root`, of `folders` too."""
    found = {}
    for path in [root, *root.rglob("*")]:
        if folders or not path.is_dir():
            stat = path.lstat()
            found[str(path.relative_to(root))] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


def changed(before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]]) -> list[str]:
    """Names that came, went or are not what they were."""
    return sorted(dict(before.items() ^ after.items()))
