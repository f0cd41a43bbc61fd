"""A real RabbitMQ behind TLS: eventd and the consumer, who trust what the system's certificates vouch for."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontend.database import db
from tests.contract import consumers
from tests.contract.consumers import Broker
from tests.contract.eventd_node import Node
from tests.contract.services import PostgreSql, RabbitMq
from tests.waiting import until

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")

_JOBS = 400  # of three opcodes each
_LONG = "x" * 60_000  # more than one record of TLS, and than what is read at a time


@pytest.fixture
def node(tmp_path: Path, rabbitmq: RabbitMq) -> Iterator[Node]:
    with contextlib.closing(Node(tmp_path / "node")) as made:
        made.configure(broker=rabbitmq.tls_url)
        yield made


def test_messages_long_and_short_go_through_it(
    tmp_path: Path, node: Node, rabbitmq: RabbitMq, postgresql: PostgreSql
) -> None:
    for number in range(1, _JOBS + 1):
        node.job("tags-set-success", number)
    trusted = {"SSL_CERT_FILE": str(rabbitmq.certificate)}
    url = postgresql.database()
    engine = db.connect_writer(url)
    with consumers.running(tmp_path / "front", 1, rabbitmq.tls_url, url, **trusted) as (consumer,):
        with contextlib.closing(Broker(rabbitmq.url)) as broker:
            broker.publish([_LONG])
        node.start("env", *(f"{name}={value}" for name, value in trusted.items()))
        until(lambda: consumers.counted(engine) == 3 * _JOBS, lambda: [*consumer.complaints, node.log()])
        until(lambda: "laid aside" in consumer.log)
        assert "Passw0rd" not in consumer.log + node.log()
    engine.dispose()


def test_who_is_vouched_for_by_nobody_hears_nothing(node: Node, rabbitmq: RabbitMq, tmp_path: Path) -> None:
    node.job("tags-set-success", 1)
    node.start()
    until(lambda: "CERTIFICATE_VERIFY_FAILED" in node.log(), node.log)
    database = f"sqlite:///{tmp_path}/front.db"
    with consumers.running(tmp_path / "front", 1, rabbitmq.tls_url, database) as (consumer,):
        until(lambda: "CERTIFICATE_VERIFY_FAILED" in consumer.log, lambda: consumer.complaints)
