"""The OpenStack-compatible front and its consumer of events."""
