"""Ours against what others do, on the same inputs: `make bench`, or `python -m benchmarks [name ...]`."""
