"""Carries out plans and undoes records, by `nft`, `ip` and whatever else a plan's steps name."""

from __future__ import annotations

from itertools import groupby

from ganeti_ext import binding, command, files
from ganeti_ext.errors import CommandError, ExtError
from kvm_ifup import allowance, facts
from kvm_ifup import plan as plans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kvm_ifup.plan import Plan
    from kvm_ifup.state import Record, Records

# Programs that read the lines of steps from stdin; others get each line as their arguments.
_BATCH = frozenset(("ip", "bridge"))
# What they say of things that are gone already: ENODEV, ENOENT, ESRCH, EADDRNOTAVAIL; of a routing table that was never
# there, the kernel; and `ip` itself of one whose name it does not know, so that nothing can be in it.
_GONE = (
    *("Cannot find device", "No such device", "No such file", "No such process", "Cannot assign requested address"),
    *("FIB table does not exist", "invalid table ID", '"table" value is invalid'),
)


class Host:
    """The node. `run` starts a program, `index` tells an interface's index or None."""

    def __init__(
        self,
        records: Records,
        run: Callable[..., str] = command.run,
        index: Callable[[str], int | None] = facts.ifindex,
        set_: Callable[[str, str], None] | None = None,
    ) -> None:
        self._records = records
        self._run = run
        self._index = index
        self._set = set_ or sysctl

    def gone(self, tap: str, ifindex: int) -> bool:
        """Whether the tap that had this index is gone; another tap of its name does not count."""
        return self._index(tap) != ifindex

    def set_up(self, plan: Plan) -> None:
        """Do all of a plan or none of it. The caller holds the tap's lock and has undone what stood before."""
        try:
            self._note(plan.record)
            self._nft(plans.transaction(plan), plan.record)
            for path, value in plan.sysctls:
                self._set(path, value)
            self._bind(plan)
            self._do(plan.steps)
        except BaseException as err:
            self._give_up(plan.record, err)
            if isinstance(err, (ExtError, OSError)):
                raise ExtError(f"{plan.record.tap} of {plan.record.instance}: {err}") from err
            raise

    def change(self, before: Record, plan: Plan, cut: Callable[[], object] | None = None) -> None:
        """Put another plan's rules and binding in the place of those of a tap that is up. The caller holds the lock.

        `cut` is called when the rules stand; should it fail, the record still has the profile that was before.
        """
        after = plan.record._replace(undo=before.undo)  # of the steps that were run: none is run now
        # Should we die in between: all that may stand is undone from this, and what was told is told again.
        both = before.with_all_of(after)
        self._note(both)
        self._nft(plans.transaction(plan, before), both)
        if before.binding and before.binding != after.binding:
            files.remove(before.binding)
        self._bind(plan)
        if cut:
            cut()
        self._records.write(after)

    def undo(self, record: Record) -> None:
        """Undo what a record tells, last thing first; what is gone already is fine. The caller holds the lock."""
        gone = self.gone(record.tap, record.ifindex)
        with self._records.shared():
            own = self._own(record)
            # Lines that name the tap are for the tap itself, unless another has its name by now.
            self._undo([(program, line) for program, line in own.undo if not (gone and self._there(record, line))])
            if record.binding:
                files.remove(record.binding)
            self._nft(plans.forget(own), own)
            self._records.remove(record.tap)

    def restore(self, rules: str, records: list[Record]) -> None:
        """Say again what is allowed to these taps, should the rules have been flushed. The caller holds the locks."""
        stands = [plans.stands(record._replace(elements=allowance.apart(record.elements))) for record in records]
        self._nft(rules + "".join(stands), *records)

    def _note(self, record: Record) -> None:
        with self._records.shared():  # who undoes another's sees it before anything of it is there
            self._records.write(record)

    def _own(self, record: Record) -> Record:
        """The record less what stands for a tap that is there: an address that is another guest's by now."""
        for other in self._records.with_any_of(record.shared()) if record.shared() else ():
            if other.tap != record.tap and not self.gone(other.tap, other.ifindex):
                record = record.without(other.shared())
        return record

    def _there(self, record: Record, line: str) -> bool:
        return f"dev {record.tap}" in line and self._index(record.tap) is not None

    def _bind(self, plan: Plan) -> None:
        if plan.binding and plan.record.binding:
            files.replace(plan.record.binding, binding.render(plan.binding))

    def _nft(self, text: str, *records: Record) -> None:
        """Carry out a transaction, in the place of whatever stands for the taps of these records."""
        try:
            self._run(["nft", "-f", "-"], stdin=text)
        except CommandError as err:
            if "File exists" not in str(err):
                raise
            from kvm_ifup import conflict  # noqa: PLC0415 (costs 10 ms, and conflicts are rare)

            text = conflict.removal(records, self._run(["nft", "-j", "list", "ruleset"])) + text
            self._run(["nft", "-f", "-"], stdin=text)

    def _do(self, steps: Iterable[tuple[str, str]]) -> None:
        for program, lines in _grouped(steps):
            argv = program.split()
            if argv[0] in _BATCH:
                self._run([*argv, "-batch", "-"], stdin="\n".join(lines) + "\n")
            else:
                for line in lines:
                    self._run([*argv, *line.split()])

    def _undo(self, steps: Iterable[tuple[str, str]]) -> None:
        for program, lines in _grouped(steps):
            for line in lines:
                try:
                    self._run([program, *line.split()])
                except CommandError as err:
                    if not any(word in str(err) for word in _GONE):
                        raise

    def _give_up(self, record: Record, err: BaseException) -> None:
        try:
            self.undo(record)
        except (ExtError, OSError) as also:
            raise ExtError(f"{record.tap} of {record.instance}: {err}; undoing it failed too: {also}") from err


def _grouped(steps: Iterable[tuple[str, str]]) -> Iterable[tuple[str, list[str]]]:
    """Steps one after the other of the same program."""
    return [(program, [line for _, line in some]) for program, some in groupby(steps, key=lambda step: step[0])]


def sysctl(path: str, value: str) -> None:
    """Set a value below /proc/sys, where the kernel has it: one without IPv6 lacks a part."""
    try:
        with open(f"/proc/sys/{path}", "w", encoding="ascii") as file:
            file.write(value)
    except FileNotFoundError:
        return
