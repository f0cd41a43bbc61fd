"""Our way: the real eventd on the master's directories, the real consumer on the front's database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench.bars import OURS
from bench.events.ganeti import PORT
from bench.events.jobfiles import CLUSTER, NODE, SERVERS
from bench.events.place import CERTIFICATE, HOME, LUXID, Place
from bench.events.way import Table, Way
from bench.postgresql import SOCKETS, database, url
from bench.root import OURS as CODE

_AMQP = "amqp://guest:guest@127.0.0.1:5672//"
_EVENTD = """\
[eventd]
broker = {broker}
outbox = {home}/state/outbox.db
job_queue = {home}/queue
data_directory = {home}/data
spool = {home}/notes
query_socket = {luxid}
node_name = {node}
"""
_FRONT = """\
[front]
database = {database}
secret_file = {home}/secret
[rapi]
url = https://127.0.0.1:{port}
user = front
password = front
ca = {certificate}
[broker]
url = {broker}
"""


@contextlib.contextmanager
def embedded(place: Place) -> Iterator[Way]:
    """Through the outbox file into SQLite."""
    home = f"{HOME}/embedded"
    file = f"{home}/front/front.db"
    place.file(file)
    _write(place, home, "outbox:", f"outbox:{home}/state/outbox.db", f"sqlite:///{file}")
    with _running(place, home, Table("sqlite", file, "server")) as way:
        yield way


@contextlib.contextmanager
def broker(place: Place) -> Iterator[Way]:
    """Through RabbitMQ into PostgreSQL."""
    home, name = f"{HOME}/broker", "front"
    database(place, name)
    _write(place, home, _AMQP, _AMQP, url(name))
    with _running(place, home, Table("postgresql", f"host={SOCKETS} user=postgres dbname={name}", "server")) as way:
        yield way


def _write(place: Place, home: str, eventd: str, front: str, database: str) -> None:
    for path in ("queue/archive", "data", "state", "notes"):
        place.file(f"{home}/{path}/x")
    for name, text in (("master_node", NODE), ("cluster_name", CLUSTER)):
        place.file(f"{home}/data/ssconf_{name}").write_text(f"{text}\n")
    place.file(f"{home}/eventd.conf").write_text(_EVENTD.format(broker=eventd, home=home, luxid=LUXID, node=NODE))
    values = {"database": database, "home": home, "port": PORT, "certificate": CERTIFICATE, "broker": front}
    place.file(f"{home}/frontend.conf").write_text(_FRONT.format(**values))


@contextlib.contextmanager
def _running(place: Place, home: str, table: Table) -> Iterator[Way]:
    name = home.rpartition("/")[2]
    consumer = (f"{CODE}/frontend/ganeti-ext-consumer", "--config", f"{home}/frontend.conf")
    eventd = (f"{CODE}/eventd/ganeti-ext-eventd", "--config", f"{home}/eventd.conf")
    with (
        place.daemon(f"{name}-consumer", *consumer) as taker,
        place.daemon(f"{name}-eventd", *eventd) as sender,
    ):
        way = Way(OURS, f"{home}/queue", table, sender, taker)
        way.drain(place, SERVERS)  # the jobs that create the servers
        yield way
