"""HTTP, JSON and server-sent events in front of the services, derived from their contracts."""
