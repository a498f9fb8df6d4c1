"""Background loops: following the analyzer's events, sending what the outbox holds, forgetting."""
