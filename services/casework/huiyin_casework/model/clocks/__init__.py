"""Clocks: the calendar that they count in, the policy that sets them, their arithmetic, and what explains it."""
