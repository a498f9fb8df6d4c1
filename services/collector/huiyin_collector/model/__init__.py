"""The domain of the collector: tables in files, the columns and times in them, and what makes a row a post."""
