"""Has a node's noded run a directory of hooks, as Ganeti's own RPC client does (rpc/node.py, http/client.py).

HTTPS POST /hooks_runner, JSON [path, phase, environment]; the answer is [true, [[script, status, output], ...]], the
status one of HKR_*, or [false, what went wrong]. Both sides show a certificate that the cluster's own vouches for;
noded wants a master candidate's besides (server/noded.py SSLVerifyPeer). The same in Ganeti 3.0, 3.1 and 3.2~alpha.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    import ssl

_SERVICE, _PORT = "ganeti-noded", 1811  # constants.DAEMONS_PORTS
_SKIP, _FAIL = 0, 1  # constants.HKR_*
_CONNECT = 5.0  # seconds, RPC_CONNECT_TIMEOUT
_LONGEST = 16 << 20  # bytes of an answer
_LONGEST_OUTPUT = 500


class HooksRunnerError(ExtError):
    """The node was not reached, or went away: nothing is known of the hooks."""


class HooksFailedError(HooksRunnerError):
    """The node was asked, and says or shows that it could not do it."""


class Script(NamedTuple):
    """One script's end: `name` with its directory, `output` of stdout and stderr."""

    name: str
    status: int
    output: str

    @property
    def failed(self) -> bool:
        return self.status == _FAIL

    @property
    def ran(self) -> bool:
        """Not so what is no executable, or has a name that Ganeti passes over."""
        return self.status != _SKIP


class HooksRunner:
    """`port` 0 is that of ganeti-noded in /etc/services, `timeout` what all scripts of one call may take, in seconds.

    The certificates are read for each call, as an administrator may renew them; the server's serves for the
    client's where there is none, as after an upgrade from Ganeti 2.10.
    """

    def __init__(self, server_certificate: str, client_certificate: str, port: int, timeout: float) -> None:
        self._server = server_certificate
        self._client = client_certificate
        self._port = port or _service_port()
        self._timeout = timeout

    def run(self, address: str, path: str, phase: str, env: dict[str, str]) -> list[Script]:
        """Run the scripts of PATH-PHASE.d on the node with this address, in their order.

        HooksFailedError when one of them failed, in one line; HooksRunnerError.
        """
        scripts = _scripts(self._call(address, json.dumps([path, phase, env]).encode()))
        failed = [f"{one.name}: {_line(one.output) or 'no output'}" for one in scripts if one.failed]
        if failed:
            raise HooksFailedError("; ".join(failed))
        return scripts

    def _call(self, address: str, body: bytes) -> bytes:
        import http.client  # noqa: PLC0415 - with ssl 6 MB, which a master alone needs

        try:
            connection = http.client.HTTPSConnection(address, self._port, timeout=_CONNECT, context=self._context())
        except OSError as err:  # also ssl.SSLError
            raise HooksRunnerError(f"{self._client}, {self._server}: {err}") from err
        is_asked = False
        try:
            connection.connect()
            connection.sock.settimeout(self._timeout)
            connection.request("POST", "/hooks_runner", body, {"Content-Type": "application/json"})
            is_asked = True
            response = connection.getresponse()
            answer = response.read(_LONGEST)
        except TimeoutError as err:
            if is_asked:
                raise HooksFailedError(f"the scripts did not end within {self._timeout:g} s") from err
            raise HooksRunnerError(f"{address}:{self._port}: no answer within {_CONNECT:g} s") from err
        except (OSError, http.client.HTTPException) as err:
            raise HooksRunnerError(f"{address}:{self._port}: {_words(err)}") from err
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise HooksFailedError(f"{address}:{self._port}: HTTP status {response.status} {response.reason}")
        return answer

    def _context(self) -> ssl.SSLContext:
        import ssl  # noqa: PLC0415 - as above

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # every node shows the cluster's one certificate
        context.load_verify_locations(self._server)
        context.load_cert_chain(self._client if os.path.exists(self._client) else self._server)
        return context


def _service_port() -> int:
    try:
        return socket.getservbyname(_SERVICE, "tcp")
    except OSError:
        return _PORT


def _scripts(answer: bytes) -> list[Script]:
    try:
        done, payload = json.loads(answer)
        if done is True:
            # noded escapes line ends (backend.py RunHooks, SafeEncode).
            return [
                Script(str(name), int(status), str(output).replace("\\n", "\n")) for name, status, output in payload
            ]
    except (TypeError, ValueError, RecursionError) as err:
        raise HooksFailedError(f"an answer that is not noded's: {_line(repr(answer[:200]))}") from err
    raise HooksFailedError(_line(_said(payload)))


def _unescaped(output: str) -> str:
    """Its line ends, which noded has escaped (backend.py RunHooks, SafeEncode)."""
    return output.replace(r"\n", "\n")


def _said(payload: Any) -> str:
    return payload if isinstance(payload, str) else json.dumps(payload)


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_OUTPUT else f"{line[:_LONGEST_OUTPUT]}..."


def _words(err: Exception) -> str:
    return str(err) or type(err).__name__
