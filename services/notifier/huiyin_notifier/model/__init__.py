"""The domain of the notifier: what happened, who is told of it, when, and in which words. Pure."""
