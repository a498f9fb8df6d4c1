"""What the collector does by itself: visits feeds, and destroys in time what may not be kept."""
