"""Guests' screens and serial logs on a node: the daemon that serves them to the front, and QEMU's wrapper."""
