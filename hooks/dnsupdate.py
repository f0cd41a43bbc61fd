"""Keeps the addresses of instances in the DNS, by dynamic updates (RFC 2136) after operations on them.

Ganeti runs hooks on the master, the primary and the secondaries at once. The master alone acts: it is the one that is
there for every operation, as it runs the job, whatever has become of the primary; and it alone needs the key.
"""

from __future__ import annotations

import os

from ganeti_ext.errors import ExtError
from ganeti_ext.hookenv import Hook
from hooks import dnssettings, node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from hooks.dnsanswer import Answer, Question
    from hooks.dnsserver import Server
    from hooks.dnssettings import Settings


def main(_verb: str, env: Mapping[str, str]) -> None:
    """Bring the DNS up to date with an operation on an instance; ExtError, in one line, when that fails."""
    if not os.path.exists(dnssettings.PATH):
        return
    hook = Hook.from_env(env)
    if hook.phase != "post" or hook.object_type != "INSTANCE" or not hook.master:
        return
    if node.is_this(hook.master, hook.data_directory) and (settings := dnssettings.load(dnssettings.PATH)):
        from hooks.dnsserver import Server  # noqa: PLC0415 (starting programs costs 10 ms, also where nothing starts)

        try:
            carry_out(hook, settings, Server(settings))
        except ExtError as err:
            raise ExtError(f"{hook.instance}: {' '.join(str(err).split())}") from err


def carry_out(hook: Hook, settings: Settings, server: Server) -> None:
    """Ask, plan, update. ExtError tells all that could not be done; the rest is."""
    from hooks import dnsplan, dnstask  # noqa: PLC0415 (as above)

    task = dnstask.of(hook, settings)
    if task is None:
        return
    seen: dict[Question, Answer] = {}
    while missing := dnsplan.questions(task, settings, seen):
        seen |= server.ask(missing)
    plan = dnsplan.plan(task, settings, seen)
    failures = list(plan.complaints)
    refused = _update(server, plan.forward)
    # An address is not to lead to a name that does not have it.
    if not refused:
        refused = _update(server, plan.reverse)
    if failures or refused:
        raise ExtError("; ".join((*failures, *refused)))


def _update(server: Server, texts: Mapping[str, str]) -> list[str]:
    refused = []
    for zone, text in texts.items():
        try:
            server.update(zone, text)
        except ExtError as err:
            refused.append(str(err))
    return refused
