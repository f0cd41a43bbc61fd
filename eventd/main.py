"""Wires eventd: inotify, the job queue on the master, the hooks' notes everywhere, the outbox, the broker."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sqlite3
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from eventd import questions
from eventd.asking import Asker
from eventd.counts import Counts
from eventd.follow import Follower
from eventd.ganeti import CLUSTER_FILE, MASTER_FILE, Ganeti
from eventd.hooks_runner import HooksRunner
from eventd.inventory import Inventory
from eventd.jobqueue import JobQueue
from eventd.membership import Membership
from eventd.notes import Notes
from eventd.sampler import Files, Sampler
from eventd.settings import Settings, load
from eventd.spool import Spool
from eventd.telling import Teller
from eventd.watch import MADE, RENAMED, Watch
from ganeti_ext import event
from ganeti_ext.control import Control
from ganeti_ext.errors import ExtError
from ganeti_ext.outbox import Outbox
from ganeti_ext.service import Loop, log_to_journal

if TYPE_CHECKING:
    from eventd.publish import Publisher

log = logging.getLogger("eventd")

CONFIG = "/etc/ganeti-ext/eventd.conf"
_RETRY = 5.0  # seconds, while a directory is missing or the disk is full
_LAST_ANSWERS = 1.0  # seconds to wait for at the end; what is not told then is read again
_AGAIN = 3600.0  # reads everything once more, which also moves the cursors' floor


class Daemon:
    """One eventd. What cannot be written to the outbox now is read again later: nothing is lost by a full disk."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.counts = Counts()
        self._outbox = Outbox(settings.outbox)
        self._ganeti = Ganeti(
            settings.data_directory, settings.query_socket, settings.query_timeout, settings.node_name
        )
        own_name = self._ganeti.own_name
        self.spool = Spool(self._outbox, settings.outbox_limit, own_name, self._ganeti.cluster, self.counts)
        queue = JobQueue(settings.job_queue)
        self._asker = Asker(self._ganeti, self.counts)
        self._teller = _teller(settings, self._ganeti) if settings.tag_hooks else None
        self._membership = _membership(settings, self._ganeti) if settings.tag_hooks else None
        see, owe = (self._teller.see, self._teller.owe) if self._teller else (None, None)
        recent = settings.recent_hours * 3600
        self._follower = Follower(queue, self.spool, self._asker, self.counts, recent=recent, see=see, owe=owe)
        if self._membership:
            self._follower.stir = self._membership.see
        files = Files(settings.kvm_directory)
        self._sampler = Sampler(settings.sample_seconds, files) if settings.sample_seconds else None
        self._notes = Notes(settings.spool, self.spool, own_name, self.counts)
        self._watch = Watch()
        self._loop = Loop()
        self._is_master: bool | None = None
        self._is_behind = False
        self._owes_word = False  # that this node is the master, to the outbox

    def run(self) -> None:
        """Until SIGTERM; READY is sent when all that happened before was read."""
        settings = self._settings
        # Watched first, read then: what comes in between is seen twice rather than never.
        self._watch.add(settings.data_directory, self._ssconf_written, self._check_role)
        # Ganeti renames each job's draft to its file, in Python and in Haskell: that the draft is closed is no news.
        self._watch.add(settings.job_queue, self._jobs_written, self._read_all, RENAMED)
        self._watch.add(settings.spool, self._notes_written, self._read_all)
        self._watch.add(os.path.dirname(settings.query_socket), self._sockets_made, self._luxid_started, MADE)
        self._loop.add(self._watch, self._watch.ready)
        self._loop.every(_RETRY, self._retry)
        self._loop.every(_AGAIN, self._read_all)
        self._loop.add(self._asker.answered, self._collect)
        self._loop.add(self._asker.ended, _thread_died)
        self._asker.start()
        stop, close = self._publish(), self._listen()
        if sampler := self._sampler:
            self._loop.add(sampler.ready, lambda: self._sampled(sampler))
        workers = [one for one in (self._teller, self._membership, self._sampler) if one]
        for worker in workers:
            self._loop.add(worker.ended, _thread_died)
            worker.start()
        try:
            self._check_role()
            self._safely(self._notes.scan)
            self._loop.run()
        finally:
            close()
            self._safely(lambda: self._follower.finish(_LAST_ANSWERS))
            stop()
            self._asker.stop()
            for worker in workers:
                worker.stop()
            self._watch.close()
            self._outbox.close()

    def _publish(self) -> Callable[[], None]:
        """Start delivering; what ends it."""
        if not self._settings.brokers:
            return lambda: None
        from eventd.publish import Publisher  # noqa: PLC0415 - 24 MB and 0.1 s on nodes that have no broker

        publisher = Publisher(self._settings.outbox, self._settings.brokers, self._settings.queue, self.counts)
        self._loop.add(publisher.ended, _thread_died)
        self._loop.add(publisher.reconnected, lambda: self._reconnected(publisher))
        publisher.start()
        return publisher.stop

    def _listen(self) -> Callable[[], None]:
        """Answer questions from now on; what ends it."""
        settings = self._settings
        if not settings.control:
            return lambda: None
        facts = questions.Facts(
            self.counts, self.spool, settings.outbox_limit, len(settings.brokers), self._ganeti.role
        )
        answers, tail = questions.make(facts)
        self.counts.watchers.append(tail)
        return Control(settings.control, answers.begin, self._loop, group="ganeti-ext").close

    def _reconnected(self, publisher: Publisher) -> None:
        """Nothing should be missing then; but an outage is when a queue may have been put back or a disk mended."""
        os.eventfd_read(publisher.reconnected)
        self._read_all()

    def _check_role(self) -> None:
        """Anew at the start, and when Ganeti wrote its files."""
        was_master, self._is_master = self._is_master, self._ganeti.is_master()
        if self._is_master == was_master:
            return
        log.info("%s is %s", self._ganeti.own_name, "the master" if self._is_master else "not the master")
        if self._is_master:
            self._follower.cluster = self._ganeti.cluster()
            self._follower.enter(self._ganeti.term())
            self._owes_word = True
            self._read_jobs()
            if self._membership:
                self._membership.look()
        else:
            self._safely(self._follower.leave)

    def _sockets_made(self, names: list[str]) -> None:
        if os.path.basename(self._settings.query_socket) in names:
            self._luxid_started()

    def _luxid_started(self) -> None:
        """Its configuration may be one of before: a backup's, or that of a master whom the one before had not told."""
        if self._is_master:
            log.info("Ganeti was started anew")
            self._owes_word = True
            self._read_jobs()

    def _read_jobs(self) -> None:
        """Of the master that this node is."""
        self._safely(self._follower.scan)
        if self._owes_word:
            self._safely(self._tell_master)

    def _tell_master(self) -> None:
        self.spool.put([self.spool.own(event.MASTER)])
        self._owes_word = False

    def _read_all(self) -> None:
        if self._is_master:
            self._read_jobs()
        self._safely(self._notes.scan)

    def _ssconf_written(self, names: list[str]) -> None:
        if MASTER_FILE in names:
            self._check_role()
        if CLUSTER_FILE in names:  # gnt-cluster rename
            self._follower.cluster = self._ganeti.cluster()

    def _jobs_written(self, names: list[str]) -> None:
        if self._is_master:
            self._safely(lambda: self._follower.changed(names))

    def _notes_written(self, names: list[str]) -> None:
        self._safely(lambda: self._notes.written(names))

    def _sampled(self, sampler: Sampler) -> None:
        if message := sampler.take(self._ganeti.cluster(), self._ganeti.own_name):
            with contextlib.suppress(sqlite3.OperationalError):  # counted; nobody needs it so much that it were kept
                self.spool.put([message], lasting=False)

    def _collect(self) -> None:
        self._safely(self._follower.collect)

    def _retry(self) -> None:
        self._watch.retry()
        self.counts.overflows = self._watch.overflows
        if self._is_behind:
            self._is_behind = False
            self._read_all()

    def _safely(self, work: Callable[[], object]) -> None:
        try:
            work()
        except sqlite3.OperationalError as err:
            log.error("%s: %s; trying again in %g s", self._settings.outbox, err, _RETRY)
            self._is_behind = True


def _teller(settings: Settings, ganeti: Ganeti) -> Teller:
    return Teller(settings.outbox, *_asks(settings), ganeti.is_master)


def _asks(settings: Settings) -> tuple[Inventory, HooksRunner]:
    """What Ganeti is asked by, and its nodes are told by."""
    inventory = Inventory(settings.data_directory, settings.query_socket, settings.query_timeout)
    runner = HooksRunner(
        settings.noded_certificate, settings.client_certificate, settings.noded_port, settings.hook_timeout
    )
    return inventory, runner


def _membership(settings: Settings, ganeti: Ganeti) -> Membership:
    return Membership(*_asks(settings), ganeti.is_master)


def _thread_died() -> None:
    raise RuntimeError("a thread ended by itself, see the traceback above")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="ganeti-ext-eventd", description="Tell what Ganeti's jobs and hooks did, by AMQP or an outbox file."
    )
    parser.add_argument("--config", default=CONFIG, help="configuration file (default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        settings = load(arguments.config)
        log_to_journal(settings.log_level)
        Daemon(settings).run()
    except ExtError as err:
        sys.stderr.write(f"ganeti-ext-eventd: {err}\n")
        return err.exit_code
    except sqlite3.Error as err:
        sys.stderr.write(f"ganeti-ext-eventd: {settings.outbox}: {err}\n")
        return 1
    return 0
