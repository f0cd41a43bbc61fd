"""python3 -m lab COMMAND: the lab's command line (the Makefile's targets call it)."""

from __future__ import annotations

import argparse
import os
import sys
import time

from ganeti_ext.errors import ExtError
from lab import base, cluster, second, services, story_storage, tempest
from lab.step import step
from lab.story import PREFIX, STEPS, Story, clear, create_words

SUMMARY = """
The cluster stays up.
  OpenStack API      http://127.0.0.1:{port}/identity/v3
  rc file            . {openrc}     (on the nodes: . /root/openrc)
  a node's shell     make lab-shell NODE=node1     (then gnt-instance list, openstack server list, ...)
  a VM's console     make lab-shell NODE=node1, then: gnt-instance console {instance}     (leave with Ctrl-])
  stop it all        make lab-down
"""


def demo() -> None:
    """The whole story, told as it happens."""
    start = time.monotonic()
    cluster.up()
    story = Story(cluster.nodes())
    clear(story)
    story_storage.clear(story)
    for tell in (*STEPS, *story_storage.STEPS):
        with step((tell.__doc__ or tell.__name__).strip()):
            tell(story)
    with step("One more server, for you: hello"):
        server = story.tenant.openstack(*create_words("hello"), "--wait")
    print(f"\nAll of it took {time.monotonic() - start:.0f} s.")
    places = {"port": services.LOOPBACK_PORT, "openrc": services.OPENRC, "instance": PREFIX + server["id"]}
    print(SUMMARY.format(**places))


def shell(name: str) -> None:
    """A shell on a node."""
    nodes = {key: node for node in (*cluster.nodes(), second.node()) for key in (node.name, node.name.split(".")[0])}
    if name not in nodes:
        raise SystemExit(f"no node {name!r}; there are: {', '.join(sorted(nodes))}")
    argv = nodes[name].enter("bash", "--login")
    os.execvp(argv[0], argv)


def foreign(chosen: str, words: list[str]) -> int:
    """OpenStack's own tests; a lab that was up before is left up."""
    before = cluster.running()
    cluster.up()
    try:
        return tempest.run(cluster.nodes()[2], chosen, words)
    finally:
        if not before:
            cluster.down()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="install what this machine lacks")
    commands.add_parser("up", help="bring the cluster up, with our packages on it")
    commands.add_parser("down", help="take everything away again; safe to repeat")
    second_one = commands.add_parser("second", help="bring a second cluster up beside it, of one node")
    second_one.add_argument("--down", action="store_true", help="take that one away again")
    commands.add_parser("demo", help="bring the cluster up and tell the story")
    commands.add_parser("shell", help="a shell on a node").add_argument("node", nargs="?", default="node1")
    tests = commands.add_parser("tempest", help="run OpenStack's own tests against the cluster")
    tests.add_argument("--list", default="must", choices=tempest.LISTS, help="which (default: %(default)s)")
    tests.add_argument("words", nargs="*", help="of `tempest run`, instead of a list")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("the lab needs root: namespaces, mounts and nodes")
    try:
        if options.command == "shell":
            shell(options.node)
        if options.command == "tempest":
            return foreign(options.list, options.words)
        if options.command == "second":
            cluster.up()
            (second.down if options.down else second.up)(cluster.nodes())
            return 0
        {"setup": base.setup, "up": cluster.up, "down": cluster.down, "demo": demo}[options.command]()
    except (ExtError, TimeoutError, AssertionError) as err:
        print(f"\n{err}", file=sys.stderr)
        print("What the nodes' daemons said: journalctl on them (make lab-shell NODE=node1)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
