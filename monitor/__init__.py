"""Shows what the daemons tell of themselves: metrics for Prometheus, events for people."""
