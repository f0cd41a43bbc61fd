"""What a tenant begins with images and volumes, and what breaks off: each can say when it is in the middle."""

from __future__ import annotations

import http.client
import threading
import urllib.error
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from lab import inside, wires
from lab.services import LOOPBACK_PORT
from lab.step import until
from tests.lab.caller import COMPUTE
from tests.lab.storage_site import IMAGE, MIB, Site

SIZE = 24 * MIB  # of an image that is brought


class Operation:
    """`jobs`: how many of Ganeti's it is at least, none for images that are brought; `calls`: of the provider."""

    jobs = 0
    calls = 1

    def __init__(self, site: Site, provider: str) -> None:
        self.site, self.provider = site, provider
        self.answer: object = None
        """What became of the call: its answer, or the error that ended it."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._before = 0

    def prepare(self) -> None:
        """Make what it is done to."""

    def start(self) -> None:
        self._before = self.site.newest_job()
        self._thread.start()

    def is_in_the_middle(self, job: int) -> bool:
        """Whether so many of its jobs are submitted."""
        return self.site.newest_job() - self._before >= job

    def is_over(self) -> bool:
        """Whether the call was answered, and nothing goes on in Ganeti."""
        return not self._thread.is_alive() and self.site.jobs_end()

    def go_on(self) -> None:
        """Nothing of ours holds it up any more."""

    def end(self) -> None:
        """Wait for the answer of the call, whatever it is."""
        self.go_on()
        self._thread.join(120)
        assert not self._thread.is_alive(), "the call has no answer after two minutes"

    def call(self) -> object:
        raise NotImplementedError

    def _run(self) -> None:
        try:
            self.answer = self.call()
        except urllib.error.HTTPError as err:
            self.answer = f"{err.code}: {err.read().decode()}"
        except (OSError, http.client.HTTPException) as err:
            self.answer = err


class _OfVolume(Operation):
    """To a volume of the guests' system that no server has."""

    volume = ""

    def prepare(self) -> None:
        self.volume = self.site.make_volume(self.provider)

    def act(self, body: object) -> object:
        return self.site.caller.call("POST", f"{self.site.volume_api}/volumes/{self.volume}/action", body)


class Create(Operation):
    jobs, calls = 1, 3

    def call(self) -> object:
        wanted = {"name": "broken", "size": 1, "imageRef": self.site.images[self.provider]}
        body = {"volume": {**wanted, "volume_type": self.provider}}
        return self.site.caller.call("POST", f"{self.site.volume_api}/volumes", body)


class Snapshot(_OfVolume):
    jobs = 3

    def call(self) -> object:
        body = {"snapshot": {"volume_id": self.volume, "name": "broken"}}
        return self.site.caller.call("POST", f"{self.site.volume_api}/snapshots", body)


class Extend(_OfVolume):
    jobs, calls = 1, 2

    def call(self) -> object:
        return self.act({"os-extend": {"new_size": 2}})


class Retype(_OfVolume):
    """To the other provider."""

    jobs, calls = 4, 3

    def call(self) -> object:
        other = {"cow": "rbd", "rbd": "cow"}[self.provider]
        return self.act({"os-retype": {"new_type": other, "migration_policy": "on-demand"}})


class Attach(_OfVolume):
    """To a running server."""

    jobs, calls = 3, 3
    server = ""

    def prepare(self) -> None:
        super().prepare()
        self.server = self.site.make_server()

    def call(self) -> object:
        path = f"{COMPUTE}/servers/{self.server}/os-volume_attachments"
        return self.site.caller.call("POST", path, {"volumeAttachment": {"volumeId": self.volume}})


class Save(Operation):
    """An image of a running server."""

    jobs = 3
    server = ""

    def prepare(self) -> None:
        self.server = self.site.make_server()

    def call(self) -> object:
        path = f"{COMPUTE}/servers/{self.server}/action"
        return self.site.caller.call("POST", path, {"createImage": {"name": "broken"}})


class _Brought(Operation):
    """An image whose second half is kept back until `go_on`."""

    image = ""

    def __init__(self, site: Site, provider: str) -> None:
        super().__init__(site, provider)
        self.content = site.random.randbytes(SIZE)
        self._half, self._on = threading.Event(), threading.Event()
        self._is_broken = False

    def prepare(self) -> None:
        wanted = {"name": "broken", "disk_format": "raw", "container_format": "bare"}
        self.image = self.site.caller.call("POST", IMAGE, wanted)["id"]

    def is_in_the_middle(self, job: int) -> bool:  # noqa: ARG002
        return self._half.is_set()

    def is_over(self) -> bool:
        return False

    def go_on(self) -> None:
        self._on.set()

    def pieces(self) -> Any:
        yield self.content[: SIZE // 2]
        self._half.set()
        self._on.wait(120)
        if self._is_broken:
            raise OSError("broken off")
        yield self.content[SIZE // 2 :]

    def break_off(self) -> None:
        """The second half does not come."""
        self._is_broken = True


class Upload(_Brought):
    def call(self) -> object:
        connection = http.client.HTTPConnection("127.0.0.1", LOOPBACK_PORT, timeout=100)
        headers = {"X-Auth-Token": self.site.caller.token, "Content-Type": "application/octet-stream"}
        headers["Content-Length"] = str(SIZE)
        try:
            connection.request("PUT", f"{IMAGE}/{self.image}/file", self.pieces(), headers)
            answer = connection.getresponse()
            return f"{answer.status}: {answer.read().decode()}"
        finally:
            connection.close()


class Import(_Brought):
    """From a web server beside the nodes, which has all of it at once for whoever asks again."""

    def prepare(self) -> None:
        super().prepare()
        with inside.namespace(wires.SWITCHES):
            self._web = ThreadingTCPServer((wires.MANAGEMENT, 0), self._handler())
        threading.Thread(target=self._web.serve_forever, daemon=True).start()

    def call(self) -> object:
        uri = f"http://{wires.MANAGEMENT}:{self._web.server_address[1]}/image.raw"
        body = {"method": {"name": "web-download", "uri": uri}}
        return self.site.caller.call("POST", f"{IMAGE}/{self.image}/import", body)

    def end(self) -> None:
        """The last import may be one that is begun anew, when the lease of the first has run out."""
        super().end()
        until("the import is over", lambda: self._status() != "importing", 200, 0.3)
        self._web.shutdown()
        self._web.server_close()

    def _status(self) -> str:
        return str(self.site.ask(f"{IMAGE}/{self.image}")["status"])

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        brought = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(SIZE))
                self.end_headers()
                with suppress(OSError):
                    for piece in brought.pieces():
                        self.wfile.write(piece)

            def log_message(self, *_: object) -> None:
                """Not on the terminal of the tests."""

        return Handler
