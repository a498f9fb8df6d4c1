"""The domain of the analyzer: reading texts, joining posts to events, grading. Pure: no store, no network, no clock."""
