"""Compute v2.1: servers and what belongs to them."""
