"""The lock of a volume of `cow`, as this node's verbs take and give it. All want the volume's hint held."""

from __future__ import annotations

from extstorage import lockfile, node
from extstorage.lock import Held, Holder, closed, opened, others
from extstorage.warning import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from extstorage.layout import Settings


def take(settings: Settings, name: str, exclusive: bool) -> None:
    """Let this node in; Held when another has the volume and nothing shows that it is down."""
    here = this(settings)
    mine = here.holder(exclusive)
    dropped: tuple[Holder, ...] = ()

    def alter(before: tuple[Holder, ...]) -> tuple[Holder, ...]:
        nonlocal dropped
        found = opened(name, before, mine, here.down, command(settings, name))
        dropped = found.dropped
        return found.holders

    lockfile.change(settings.locks(name), here.name, alter)
    for holder in dropped:
        warn("cow", f"volume {name!r}: taken over from {holder}: {here.down(holder.node)}")


def release(settings: Settings, name: str) -> None:
    """Give up this node's part, if it has one."""
    here = this(settings)
    lockfile.change(settings.locks(name), here.name, lambda before: closed(before, here.name))


def refuse_others(settings: Settings, name: str) -> None:
    """Held when a node other than this one has the volume."""
    here = this(settings)
    _refuse(settings, name, lambda before: others(before, here.name, here.down))


def refuse_all(settings: Settings, name: str) -> None:
    """Held when any node has the volume, this one too."""
    here = this(settings)
    _refuse(settings, name, lambda before: others(before, "", here.down))


def unlock(settings: Settings, name: str, who: str | None) -> tuple[Holder, ...]:
    """Take the volume away from one node, or from all; returns what they had."""
    here = this(settings)
    taken: tuple[Holder, ...] = ()

    def alter(before: tuple[Holder, ...]) -> tuple[Holder, ...]:
        nonlocal taken
        taken = tuple(holder for holder in before if who in (None, holder.node))
        return tuple(holder for holder in before if holder not in taken)

    lockfile.change(settings.locks(name), here.name, alter)
    return taken


def forget(settings: Settings, name: str) -> None:
    """The volume is no more."""
    lockfile.forget(settings.locks(name))


def this(settings: Settings) -> node.Node:
    return node.this(settings.data_directory, settings.node)


def command(settings: Settings, name: str) -> str:
    """What an administrator types to take a lock away."""
    pool = settings.run_directory.rpartition("/.pool-")[2] if "/.pool-" in settings.run_directory else ""
    return f"ganeti-ext-storage unlock {f'--pool={pool} ' if pool else ''}{name}"


def _refuse(settings: Settings, name: str, against: Callable[[tuple[Holder, ...]], tuple[Holder, ...]]) -> None:
    def look(before: tuple[Holder, ...]) -> tuple[Holder, ...]:
        found = against(before)
        if found:
            raise Held(
                f"volume {name!r} is open on {', '.join(map(str, found))}: stop its instance, or, if that node is down,"
                f" run: {command(settings, name)}"
            )
        return before

    lockfile.change(settings.locks(name), this(settings).name, look)
