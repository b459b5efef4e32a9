"""A package, so that `python -m tests.benchmarks` means this folder: torch-fidelity installs a
package `tests` of its own."""
