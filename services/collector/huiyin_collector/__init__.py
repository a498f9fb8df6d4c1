"""Takes in public posts from sources and serves them as a feed."""
