"""Runs the five processes on one machine: what `make run`, the end-to-end tests and the benches start."""
