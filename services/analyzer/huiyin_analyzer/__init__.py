"""Reads posts, joins them to events and grades each event by rules that explain themselves."""
