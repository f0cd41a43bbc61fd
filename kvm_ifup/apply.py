"""Carries out plans and undoes records, by `nft` and `ip`."""

from __future__ import annotations

from ganeti_ext import binding, command, files
from ganeti_ext.errors import ExtError
from kvm_ifup import ruleset
from kvm_ifup.plan import Link, allowed, take_down

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kvm_ifup.plan import Plan
    from kvm_ifup.state import Record, Records

SYS = "/sys/class/net"


class LinkError(ExtError):
    """A network interface that is not there."""


def link(name: str, sys: str = SYS) -> Link:
    """What the kernel says of an interface; LinkError when there is none."""
    try:
        return Link(
            name=name,
            ifindex=int(_attribute(sys, name, "ifindex")),
            mac=_attribute(sys, name, "address"),
            mtu=int(_attribute(sys, name, "mtu")),
        )
    except OSError as err:
        raise LinkError(f"interface {name}: {err}") from err


def ifindex(name: str, sys: str = SYS) -> int | None:
    """The interface's index, or None when there is no such interface."""
    try:
        return int(_attribute(sys, name, "ifindex"))
    except OSError:
        return None


class Host:
    """The node. `run` starts a program, `index` tells an interface's index or None."""

    def __init__(
        self,
        records: Records,
        run: Callable[..., str] = command.run,
        index: Callable[[str], int | None] = ifindex,
    ) -> None:
        self._records = records
        self._run = run
        self._index = index

    def gone(self, tap: str, ifindex: int) -> bool:
        """Whether the tap that had this index is gone; another tap of its name does not count."""
        return self._index(tap) != ifindex

    def set_up(self, plan: Plan) -> None:
        """Do all of a plan or none of it. The caller holds the tap's lock and has undone what stood before."""
        try:
            self._records.write(plan.record)
            self._run(["nft", "-f", "-"], stdin=plan.nft)
            if plan.binding and plan.record.binding:
                files.replace(plan.record.binding, binding.render(plan.binding))
            self._run(["ip", "-batch", "-"], stdin=plan.ip)
        except BaseException as err:
            self._give_up(plan.record, err)
            if isinstance(err, (ExtError, OSError)):
                raise ExtError(f"{plan.record.tap} of {plan.record.instance}: {err}") from err
            raise

    def undo(self, record: Record) -> None:
        """Undo what a record tells, last thing first; what is gone already is fine. The caller holds the lock."""
        if not self.gone(record.tap, record.ifindex):  # set up again, or given up
            self._run(["ip", "-batch", "-"], stdin=take_down(record.tap))
        if record.binding:
            files.remove(record.binding)
        if record.elements:
            self._run(["nft", "-f", "-"], stdin=ruleset.forget(record.tap, record.ifindex, record.elements))
        self._records.remove(record.tap)

    def restore(self, records: list[Record]) -> None:
        """Say again what is allowed to these taps, should the rules have been flushed. The caller holds the locks."""
        self._run(["nft", "-f", "-"], stdin=ruleset.skeleton() + "".join(map(allowed, records)))

    def _give_up(self, record: Record, err: BaseException) -> None:
        try:
            self.undo(record)
        except (ExtError, OSError) as also:
            raise ExtError(f"{record.tap} of {record.instance}: {err}; undoing it failed too: {also}") from err


def _attribute(sys: str, name: str, attribute: str) -> str:
    with open(f"{sys}/{name}/{attribute}", encoding="ascii") as file:
        return file.read().strip()
