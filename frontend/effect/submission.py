"""Creates, submitted so that none is lost and none is made twice.

The answer to a create may get lost (RapiLost): then Ganeti has the job, or it has not. The request is kept in the
database before it goes out (owed.keep_creates), and the job is looked for by the name of its instance, which no other
has. What cannot be found out at once, the payer finds out later: he submits again what is not there. Should a create
come twice all the same, Ganeti refuses the second one, and a refusal for that reason says nothing of the server
(state.py).
"""

from __future__ import annotations

import logging
import time

from frontend.effect import lostjob, owed
from frontend.effect.remote import RemoteApi
from frontend.effect.translate import Call
from frontend.web import context
from ganeti_ext.errors import ExtError, RapiError, RapiLost, RapiUnavailable

log = logging.getLogger(__name__)

# Seconds in which a request that we gave up may still reach Ganeti's master daemon.
_IN_FLIGHT = 15.0


def create(rapi: RemoteApi, server_id: str, call: Call) -> int | None:
    """The job of a create that is kept; None: Ganeti may or may not have it, and the payer sees to it.

    In both cases the server is promised, and `owed.accepted` is to be called with a job once the server's row is in.
    RapiError and RapiUnavailable when nothing was done, and it is kept no more.
    """
    try:
        return rapi.submit(*call)
    except RapiLost as err:
        return _found_or_owed(rapi, server_id, (call.body or {})["instance_name"], err)
    except (RapiError, RapiUnavailable):
        with context.database() as connection:
            owed.refused(connection, [server_id])
            connection.commit()
        raise


def _found_or_owed(rapi: RemoteApi, server_id: str, instance: str, err: RapiLost) -> int | None:
    log.warning("server %s: the answer to its create was lost: %s", server_id, err)
    try:
        job = lostjob.find_create(rapi, instance)
    except ExtError as again:
        log.warning("server %s: its create cannot be looked for now: %s", server_id, again)
        job = None
    if job is not None:
        log.info("server %s: its create was found, job %d", server_id, job)
        return job
    with context.database() as connection:
        owed.lost(connection, server_id, time.time() + _IN_FLIGHT)
        connection.commit()
    return None
