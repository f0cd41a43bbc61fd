"""Whose users these are: our own, with or without a federation, or Keystone's."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from frontend.identity import federation, keystone
from frontend.settings import Settings


def served(settings: Settings, url: str) -> bool:
    """Whether a route is ours: with Keystone, Identity is not."""
    return settings.identity.source == "own" or not (url + "/").startswith("/identity/")


def check(settings: Settings) -> None:
    """ConfigError says which setting is wrong."""
    if settings.identity.source == "keystone":
        keystone.check(settings.keystone)
    else:
        federation.load(settings.federation)


def install(app: Flask, settings: Settings, is_open: Callable[[str], bool]) -> None:
    """For an application with all of its routes; `is_open` says whether an endpoint asks for no token."""
    if settings.identity.source == "keystone":
        keystone.protect(app, settings.keystone, is_open)
    else:
        app.extensions[federation.EXTENSION] = federation.load(settings.federation)
