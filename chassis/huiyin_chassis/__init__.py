"""What every Huiyin process shares: server, identity, validation, store, feed, masking."""
