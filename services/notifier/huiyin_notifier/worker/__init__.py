"""The notifier's background loops: following the cases, sending messages, forgetting what is old."""
