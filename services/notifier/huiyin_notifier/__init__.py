"""Reaches the people on duty about what happens to their cases."""
