"""Screens and serial logs of servers."""
