"""The update path with two clusters, on PostgreSQL: what test_clusters_update.py tells on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.services import PostgreSql
from tests.unit.frontend import test_clusters_update as update
from tests.unit.frontend.test_clusters_update import Front


@pytest.mark.parametrize(
    "told",
    [
        update.test_a_message_changes_the_server_of_its_cluster_alone,
        update.test_a_server_is_born_in_the_cluster_that_told_of_it,
        update.test_networks_of_one_name_are_two,
        update.test_a_comparison_sees_its_own_cluster,
        update.test_jobs_of_one_number_are_two,
        update.test_servers_of_a_cluster_that_is_silent_are_unknown_until_a_comparison,
        update.test_what_is_free_is_kept_of_each_node_of_each_cluster,
    ],
)
def test_it_is_so_on_postgresql(postgresql: PostgreSql, tmp_path: Path, told: Callable[[Front], None]) -> None:
    front = Front(tmp_path, postgresql.database())
    try:
        told(front)
    finally:
        front.engine.dispose()
