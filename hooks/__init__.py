"""The scripts that Ganeti runs after operations."""
