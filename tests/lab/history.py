"""When the front's database changed what it shows: noted by triggers in the database itself, as no polling could."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from lab.node import Node
from tests.lab import views

# Of actions, each time that one becomes final, but for jobs that a comparison takes for lost: a master that comes back
# may have them still. What is rolled back was never noted. clock_timestamp(): not that of the transaction's begin.
_START = """
create schema if not exists lab;
create table if not exists lab.change (at double precision, source text, body jsonb, tx bigint default txid_current());
create or replace function lab.note() returns trigger security definer language plpgsql as $$
begin
  insert into lab.change values (extract(epoch from clock_timestamp()), tg_table_name,
    case when tg_op = 'DELETE' then to_jsonb(old) || '{"deleted": 1}' else to_jsonb(new) end);
  return null;
end $$;
create or replace function lab.note_final() returns trigger security definer language plpgsql as $$
begin
  if new.ended is not null and coalesce(new.message, '') not like 'job % is not known to Ganeti any more'
    and (tg_op = 'INSERT' or old.ended is null or old.status is distinct from new.status) then
    insert into lab.change values (extract(epoch from clock_timestamp()), tg_table_name, to_jsonb(new));
  end if;
  return null;
end $$;
create or replace trigger lab_note after insert or update or delete on server
  for each row execute function lab.note();
create or replace trigger lab_note after insert or update or delete on network
  for each row execute function lab.note();
create or replace trigger lab_note after insert or update on action for each row execute function lab.note_final();
"""
_STOP = "drop schema if exists lab cascade"  # with its functions go the triggers
_FINALS = """
select coalesce(json_agg(json_build_array(at, body->'job', body->'op_index', body->'status') order by at), '[]')
from lab.change where source = 'action'
"""
# What a transaction has written last: nobody sees what is written in between, as when two servers change names.
_SHOWN = """
select coalesce(json_agg(json_build_array(at, body) order by at), '[]') from (
  select distinct on (tx, source, body->>'id') at, body from lab.change where source <> 'action'
  order by tx, source, body->>'id', at desc
) as last
"""

Final = tuple[int, int, str]
"""A job, the place of an opcode in it, its final status."""


class Shown(NamedTuple):
    """From `at` on, in seconds since the epoch, this is what is shown of an object; None: it is not."""

    at: float
    columns: Mapping[str, Any] | None


class History:
    """Of the database on the node `front`, from when this is made until `stop`. CommandError: it does not answer."""

    def __init__(self, front: Node) -> None:
        self._front = front
        views.sql(front, _START)

    def stop(self) -> None:
        views.sql(self._front, _STOP)

    def finals(self) -> list[tuple[float, Final]]:
        """Each time that an action became final, and when."""
        return [(at, (job, index, status)) for at, job, index, status in json.loads(views.sql(self._front, _FINALS))]

    def shown(self) -> dict[str, list[Shown]]:
        """What was shown of each object, one after the other."""
        found: dict[str, list[Shown]] = defaultdict(list)
        for at, row in json.loads(views.sql(self._front, _SHOWN)):
            name, columns = views.shown(row)
            found[name].append(Shown(at, None if row.get("deleted") else columns))
        return found


def right_since(versions: Sequence[Shown]) -> float:
    """Since when the last of these is shown."""
    since = versions[0].at
    for before, now in pairwise(versions):
        if now.columns != before.columns:
            since = now.at
    return since
