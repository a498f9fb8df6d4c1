"""The commands, one file a kind of thing that they are about."""
