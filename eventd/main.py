"""Wires eventd: inotify, the job queue on the master, the hooks' notes everywhere, the outbox, the broker."""

from __future__ import annotations

import argparse
import logging
import sqlite3
import sys
from collections.abc import Callable

from eventd import limit
from eventd.follow import Follower
from eventd.ganeti import MASTER_FILE, Ganeti
from eventd.hooks_runner import HooksRunner
from eventd.inventory import Inventory
from eventd.jobqueue import JobQueue
from eventd.notes import Notes
from eventd.settings import Settings, load
from eventd.telling import Teller
from eventd.watch import Watch
from ganeti_ext.errors import ExtError
from ganeti_ext.outbox import Outbox
from ganeti_ext.service import Loop, log_to_journal

log = logging.getLogger("eventd")

CONFIG = "/etc/ganeti-ext/eventd.conf"
_RETRY = 5.0  # seconds, while a directory is missing or the disk is full
_LIMIT = 60.0
_AGAIN = 3600.0  # reads everything once more, which also moves the cursors' floor


class Daemon:
    """One eventd. What cannot be written to the outbox now is read again later: nothing is lost by a full disk."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._outbox = Outbox(settings.outbox)
        self._ganeti = Ganeti(
            settings.data_directory, settings.query_socket, settings.query_timeout, settings.node_name
        )
        queue = JobQueue(settings.job_queue)
        self._teller = _teller(settings, queue, self._ganeti) if settings.tag_hooks else None
        owe = self._teller.owe if self._teller else None
        self._follower = Follower(queue, self._outbox, self._ganeti, recent=settings.recent_hours * 3600, owe=owe)
        self._notes = Notes(settings.spool, self._outbox, self._ganeti.own_name)
        self._watch = Watch()
        self._loop = Loop()
        self._is_master: bool | None = None
        self._is_behind = False

    def run(self) -> None:
        """Until SIGTERM; READY is sent when all that happened before was read."""
        settings = self._settings
        # Watched first, read then: what comes in between is seen twice rather than never.
        self._watch.add(settings.data_directory, self._ssconf_written, self._check_role)
        self._watch.add(settings.job_queue, self._jobs_written, self._read_all)
        self._watch.add(settings.spool, self._notes_written, self._read_all)
        self._loop.add(self._watch, self._watch.ready)
        self._loop.every(_RETRY, self._retry)
        self._loop.every(_LIMIT, self._limit)
        self._loop.every(_AGAIN, self._read_all)
        stop = self._publish()
        if self._teller:
            self._loop.add(self._teller.ended, _thread_died)
            self._teller.start()
        try:
            self._check_role()
            self._safely(self._notes.scan)
            self._loop.run()
        finally:
            stop()
            if self._teller:
                self._teller.stop()
            self._watch.close()
            self._outbox.close()

    def _publish(self) -> Callable[[], None]:
        """Start delivering; what ends it."""
        if not self._settings.brokers:
            return lambda: None
        from eventd.publish import Publisher  # noqa: PLC0415 - 24 MB and 0.1 s on nodes that have no broker

        publisher = Publisher(self._settings.outbox, self._settings.brokers, self._settings.queue)
        self._loop.add(publisher.ended, _thread_died)
        publisher.start()
        return publisher.stop

    def _check_role(self) -> None:
        was_master, self._is_master = self._is_master, self._ganeti.is_master()
        if self._is_master != was_master:
            log.info("%s is %s", self._ganeti.own_name, "the master" if self._is_master else "not the master")
        if self._is_master:
            self._follower.cluster = self._ganeti.cluster()
            self._safely(self._follower.scan)

    def _read_all(self) -> None:
        if self._is_master:
            self._safely(self._follower.scan)
        self._safely(self._notes.scan)

    def _ssconf_written(self, names: list[str]) -> None:
        if MASTER_FILE in names:
            self._check_role()

    def _jobs_written(self, names: list[str]) -> None:
        if self._is_master:
            self._safely(lambda: self._follower.changed(names))

    def _notes_written(self, names: list[str]) -> None:
        self._safely(lambda: self._notes.written(names))

    def _retry(self) -> None:
        self._watch.retry()
        if self._is_behind:
            self._is_behind = False
            self._read_all()

    def _limit(self) -> None:
        self._safely(lambda: limit.enforce(self._outbox, self._settings.outbox_limit))

    def _safely(self, work: Callable[[], object]) -> None:
        try:
            work()
        except sqlite3.OperationalError as err:
            log.error("%s: %s; trying again in %g s", self._settings.outbox, err, _RETRY)
            self._is_behind = True


def _teller(settings: Settings, queue: JobQueue, ganeti: Ganeti) -> Teller:
    inventory = Inventory(settings.data_directory, settings.query_socket, settings.query_timeout)
    runner = HooksRunner(
        settings.noded_certificate, settings.client_certificate, settings.noded_port, settings.hook_timeout
    )
    return Teller(settings.outbox, queue, inventory, runner, ganeti.is_master)


def _thread_died() -> None:
    raise RuntimeError("the publisher or the teller of tags ended by itself, see the traceback above")


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
