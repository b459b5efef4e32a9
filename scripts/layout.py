#!/usr/bin/env python3
"""How large the rooms are, what imports what, how long functions are: one checkout or several.

    scripts/layout.py [CHECKOUT ...]      (default: this one)

A room is a folder of `harness/`. Circles are counted over all import statements that name a module,
those under TYPE_CHECKING included; imports inside functions are not. Terms are those
that docs/reading-a-report.md defines in its tables of terms and verdicts, as far as it has them.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import Counter
from pathlib import Path

PACKAGE = "harness"


def module_name(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.Module, known: set[str]) -> set[str]:
    """Modules of the package that a file imports outside its functions."""
    named: set[str] = set()
    open_nodes: list[ast.AST] = [tree]
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            named |= (inner & known) or {node.module}
        open_nodes.extend(ast.iter_child_nodes(node))
    return named & known


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, however far round (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in imports.get(name, ()):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = []
            while not group or group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1:
                groups.append(sorted(group))

    sys.setrecursionlimit(10_000)
    for name in imports:
        if name not in index:
            visit(name)
    return groups


def function_lengths(tree: ast.Module) -> list[int]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [n.end_lineno - n.lineno + 1 for n in ast.walk(tree) if isinstance(n, kinds)]


def terms(root: Path) -> int | str:
    """Terms and verdicts in the tables of docs/reading-a-report.md, each counted once."""
    page = root / "docs" / "reading-a-report.md"
    lines = page.read_text().splitlines() if page.exists() else []
    if not any(line.lower().startswith("| term |") for line in lines):
        return "no table"
    defined: set[str] = set()
    inside = False
    for line in lines:
        first = line.split("|")[1].strip().lower() if line.startswith("|") else ""
        if inside and first.strip("-"):
            defined |= set(first.split(" / "))
        inside = bool(first) and (inside or first in ("term", "verdict"))
    return len(defined)


def measure(root: Path) -> dict[str, object]:
    files = sorted((root / PACKAGE).rglob("*.py"))
    trees = {file: ast.parse(file.read_text()) for file in files}
    lines = {file: len(file.read_text().splitlines()) for file in files}
    rooms = Counter(file.parent for file in files if file.name != "__init__.py")
    room, most = rooms.most_common(1)[0]
    known = {module_name(file, root) for file in files}
    imports = {module_name(file, root): imports_of(tree, known) for file, tree in trees.items()}
    top = {
        (name.split(".")[1], other.split(".")[1])
        for name, others in imports.items()
        for other in others
        if name.count(".") and other.count(".") and name.split(".")[1] != other.split(".")[1]
    }
    lengths = sorted(length for tree in trees.values() for length in function_lengths(tree))
    largest = max(lines, key=lambda file: lines[file])
    tests = sum(len(f.read_text().splitlines()) for f in (root / "tests").rglob("*.py"))
    found = circles(imports)
    return {
        "checkout": root.name,
        "files in the largest room": f"{most} ({room.relative_to(root)})",
        "import circles between files": len(found),
        "two-way pairs of rooms": sum(pair[::-1] in top for pair in top) // 2,
        "function lines, median / p90 / most": f"{statistics.median(lengths):.0f} / "
        f"{lengths[int(0.9 * len(lengths))]} / {lengths[-1]}",
        "largest file": f"{lines[largest]} ({largest.relative_to(root)})",
        "files / lines of the package": f"{len(files)} / {sum(lines.values())}",
        "lines of the tests": tests,
        "terms to learn before a report": terms(root),
        **{f"circle {n + 1}": " ".join(group) for n, group in enumerate(found)},
    }


def main() -> None:
    roots = [Path(word) for word in sys.argv[1:]] or [Path(__file__).resolve().parents[1]]
    tables = [measure(root.resolve()) for root in roots]
    rows = list(dict.fromkeys(name for table in tables for name in table))
    widths = [max(len(str(table.get(name, ""))) for name in rows) for table in tables]
    for name in rows:
        cells = (
            f"{table.get(name, '')!s:{width}}" for table, width in zip(tables, widths, strict=True)
        )
        sys.stdout.write(f"{name:38} {'  '.join(cells)}".rstrip() + "\n")


if __name__ == "__main__":
    main()
