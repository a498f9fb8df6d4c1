"""Training of topic models (fitting)."""
