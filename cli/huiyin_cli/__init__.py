"""huiyin: the command for people and scripts, a client of the gateway."""
