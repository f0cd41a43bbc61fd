"""The architecture: who may import whom, what the scripts may not import, how long a file may get."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.unit.sourcefile import facts

ROOT = Path(__file__).parents[2]
PARTS = ("hooks", "extstorage", "kvm_ifup", "nfdhcpd", "eventd", "frontend", "monitor", "console")
OURS = ("ganeti_ext", *PARTS, "lab", "bench")
LIBRARIES = {
    "kvm_ifup": {"iptc"},
    "monitor": {"amqp", "kombu", "prometheus_client"},
    "nfdhcpd": {"netfilterqueue", "pyinotify"},
    "eventd": {"amqp", "kombu", "orjson", "pyinotify"},
    "frontend": {
        *("alembic", "cryptography", "flask", "gunicorn", "itsdangerous", "kombu", "orjson", "psycopg2", "sqlalchemy"),
        *("keystonemiddleware", "websockify", "werkzeug"),
    },
}
# The one module of a part that knows a library: to change the library is to change one file.
SOLE_USERS = {
    "amqp": {"eventd/publish.py", "monitor/broker.py"},
    "cryptography": {"frontend/console/consolecert.py", "frontend/compute/sshkey.py", "frontend/database/vault.py"},
    "iptc": {"kvm_ifup/xtables.py"},
    "keystonemiddleware": {"frontend/identity/keystone.py"},
    "kombu": {"eventd/publish.py", "frontend/update/amqp.py", "monitor/broker.py"},
    "netfilterqueue": {"nfdhcpd/nfqueue.py"},
    "prometheus_client": {"monitor/exporter.py"},
    "orjson": {"eventd/fastjson.py", "frontend/database/fastjson.py"},
    "psycopg2": {"frontend/database/postgres.py"},
    "websockify": {"frontend/console/consoleproxy.py"},
    "pyinotify": {"eventd/watch.py", "nfdhcpd/bindings.py"},
}
# What runs on a measured node, with the part that is measured or the library that is measured beside it.
MEASURED = {
    "bench/api/inside.py": {"frontend"},
    "bench/networks/floor.py": {"flask", "frontend", "sqlalchemy"},
    "bench/networks/ganeti.py": {"frontend"},
    "bench/networks/inside.py": {"frontend", "sqlalchemy"},
    "bench/events/amqpqueue.py": {"kombu"},
    "bench/firewall/inside.py": {"kvm_ifup"},
}
# Ganeti starts the scripts many times per operation, and each of these costs milliseconds.
SLOW = {
    *("argparse", "collections", "configparser", "dataclasses", "json", "logging", "pathlib", "re", "subprocess"),
    *("tempfile", "typing", "urllib"),
}
NEEDED = {
    "hooks/note": {"collections", "json"},  # once per operation, and the note is JSON
    "hooks/dns": {"collections"},  # likewise
    # Their work is done by ip and nft; once per NIC or instance that starts.
    "kvm_ifup/kvm-vif-bridge": {"collections", "subprocess"},
    "kvm_ifup/instance-moved": {"collections", "subprocess"},
    "kvm_ifup/instance-tags": {"collections", "subprocess"},
    "console/ganeti-ext-kvm": {"collections"},  # becomes QEMU
}
# The cores: values in, values out. What reaches the system lives beside them.
EFFECTS = {"fcntl", "os", "pathlib", "pyinotify", "select", "shutil", "socket", "sqlite3", "subprocess", "time"}
CORES = (
    "console/kvmargs.py",
    "eventd/applied.py",
    "eventd/enrich.py",
    "eventd/hook_env.py",
    "eventd/jobs.py",
    "eventd/ledger.py",
    "eventd/messages.py",
    "eventd/owed.py",
    "eventd/redact.py",
    "eventd/sequence.py",
    "eventd/tagged.py",
    "eventd/unread.py",
    "extstorage/fat.py",
    "extstorage/image_format.py",
    "extstorage/image_record.py",
    "extstorage/seedtext.py",
    "frontend/reconcile/difference.py",
    "frontend/reconcile/difference_action.py",
    "frontend/reconcile/difference_address.py",
    "frontend/reconcile/difference_group.py",
    "frontend/reconcile/difference_network.py",
    "frontend/reconcile/difference_server.py",
    "frontend/compute/extraspec.py",
    "frontend/identity/federation_map.py",
    "frontend/network/grouprules.py",
    "frontend/network/groupview.py",
    "frontend/image/imagefacts.py",
    "frontend/reconcile/kinds.py",
    "frontend/update/reading.py",
    "frontend/update/state.py",
    "frontend/effect/translate.py",
    "frontend/effect/translate_disk.py",
    "frontend/effect/translate_move.py",
    "frontend/effect/translate_image.py",
    "frontend/effect/translate_change.py",
    "frontend/effect/purpose.py",
    "ganeti_ext/addresses.py",
    "ganeti_ext/feed.py",
    "ganeti_ext/metric.py",
    "ganeti_ext/selection.py",
    "ganeti_ext/session.py",
    "ganeti_ext/tail.py",
    "hooks/dnsanswer.py",
    "hooks/dnsname.py",
    "hooks/dnsplan.py",
    "hooks/dnstask.py",
    "kvm_ifup/announce.py",
    "kvm_ifup/check_host.py",
    "kvm_ifup/check_rules.py",
    "kvm_ifup/describe.py",
    "kvm_ifup/explain.py",
    "kvm_ifup/fields.py",
    "kvm_ifup/iptables_rule.py",
    "kvm_ifup/listing.py",
    "kvm_ifup/nftrule.py",
    "kvm_ifup/nfttext.py",
    "kvm_ifup/packet.py",
    "kvm_ifup/packet_words.py",
    "kvm_ifup/routes.py",
    "kvm_ifup/profile.py",
    "kvm_ifup/profile_fields.py",
    "kvm_ifup/profile_iptables.py",
    "kvm_ifup/profile_nft.py",
    "kvm_ifup/profile_rules.py",
    "kvm_ifup/profile_words.py",
    "kvm_ifup/reasons.py",
    "kvm_ifup/required.py",
    "kvm_ifup/ruleset.py",
    "kvm_ifup/terms.py",
    "monitor/words.py",
    "nfdhcpd/advert.py",
    "nfdhcpd/answer.py",
    "nfdhcpd/boot.py",
    "nfdhcpd/boot6.py",
    "nfdhcpd/chains.py",
    "nfdhcpd/describe.py",
    "nfdhcpd/describe4.py",
    "nfdhcpd/describe6.py",
    "nfdhcpd/feed.py",
    "nfdhcpd/metrics.py",
    "nfdhcpd/ndp.py",
    "nfdhcpd/neighbour.py",
    "nfdhcpd/probe.py",
    "nfdhcpd/questions.py",
    "nfdhcpd/schedule.py",
    "nfdhcpd/dhcp4.py",
    "nfdhcpd/dhcp6.py",
    "nfdhcpd/frame.py",
    "nfdhcpd/discovery.py",
    "nfdhcpd/ias.py",
    "nfdhcpd/layout4.py",
    "nfdhcpd/lease.py",
    "nfdhcpd/lease6.py",
    "nfdhcpd/limit.py",
    "nfdhcpd/memory.py",
    "nfdhcpd/mode.py",
    "nfdhcpd/options4.py",
    "nfdhcpd/options6.py",
    "nfdhcpd/ra.py",
    "nfdhcpd/raw.py",
    "nfdhcpd/responder.py",
    "nfdhcpd/responder6.py",
    "nfdhcpd/stats.py",
    "nfdhcpd/terms.py",
    "nfdhcpd/told4.py",
)
# Where all that nobody expected ends: once per process, at its edge.
# A question must end no daemon, nor in nfdhcpd a packet and a binding the service of all.
BROAD = {
    "frontend/update/mirror.py",
    "ganeti_ext/entry.py",
    "ganeti_ext/control.py",
    "nfdhcpd/nfqueue.py",
    "nfdhcpd/table.py",
}
VAGUE = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
# Paths of a developer's machine and words that are not the project's, in pieces: this file is searched too.
_PIECES = (
    *(("/wo", "rk/"), ("/tm", "p/w/"), ("A", "I assistant"), ("A", "I-generated"), ("A", "I model")),
    *(("language ", "model"), ("L", "LM"), ("clau", "de"), ("anth", "ropic"), ("chat", "gpt"), ("open", "ai")),
    *(("co", "pilot"), ("sub-", "agent"), ("sub", "agent"), ("as a", "n AI")),
)
FOREIGN = re.compile(
    rb"(?<![\w./])(" + b"|".join(re.escape("".join(two)).encode() for two in _PIECES) + rb")", re.IGNORECASE
)
PYTHON = re.compile(rb"#!/usr/bin/python3 (-SEI|-I)\n")


@cache
def sources(*folders: str) -> tuple[Path, ...]:
    return tuple(sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")))


@cache
def executables(*parts: str) -> tuple[Path, ...]:
    """The parts' programs, which have no ending."""
    found = (path for part in parts for path in sorted((ROOT / part).rglob("*")))
    plain = (path for path in found if path.is_file() and not path.is_symlink() and not path.suffix)
    return tuple(path for path in plain if path.read_bytes().startswith(b"#!/usr/bin/python3"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tops(path: Path) -> set[str]:
    return {dotted.split(".")[0] for dotted in facts(path).imports}


def reached(path: Path) -> set[Path]:
    """Our own files that starting this one imports."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            modules = (ROOT / (dotted.replace(".", "/") + ".py") for dotted in facts(one).loads)
            waiting += [module for module in modules if module.exists()]
    return found


def foreign(path: Path, *known: str) -> dict[str, set[str]]:
    """What a file imports beside the standard library and these, by the file's name."""
    found = tops(path) - sys.stdlib_module_names - set(known)
    return {name(path): found} if found else {}


def test_the_base_imports_only_the_standard_library() -> None:
    for path in sources("ganeti_ext"):
        assert not foreign(path, "ganeti_ext")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_imports_the_base_itself_and_its_own_libraries(part: str) -> None:
    for path in (*sources(part), *executables(part)):
        assert not foreign(path, "ganeti_ext", part, *LIBRARIES.get(part, ()))


@pytest.mark.parametrize("folder", ["lab", "bench"])
def test_the_lab_imports_no_part(folder: str) -> None:
    for path in sources(folder):
        assert not foreign(path, "ganeti_ext", "lab", "bench", *MEASURED.get(name(path), ()))


@pytest.mark.parametrize(("library", "users"), SOLE_USERS.items())
def test_a_library_has_one_user_in_a_part(library: str, users: set[str]) -> None:
    assert {name(path) for path in sources(*PARTS) if library in tops(path)} == users


def scripts() -> list[Path]:
    return [path for path in executables(*PARTS) if b"-SEI" in path.read_bytes()]


def test_ganetis_scripts_are_found() -> None:
    assert {name(path) for path in scripts()} == {
        *("hooks/dns", "hooks/note", "extstorage/cow/_run", "extstorage/rbd/_run"),
        *("kvm_ifup/kvm-vif-bridge", "kvm_ifup/instance-moved", "kvm_ifup/instance-tags"),
        "kvm_ifup/group-members",
        "console/ganeti-ext-kvm",
    }


@pytest.mark.parametrize("script", scripts(), ids=name)
def test_a_script_starts_fast(script: Path) -> None:
    loaded = {dotted.split(".")[0]: name(path) for path in reached(script) for dotted in facts(path).loads}
    slow = {module: user for module, user in loaded.items() if module in SLOW}
    assert set(slow) == NEEDED.get(name(script), set()), f"module and who imports it: {slow}"


@pytest.mark.parametrize("core", CORES)
def test_a_core_has_no_effects(core: str) -> None:
    assert not tops(ROOT / core) & EFFECTS


@pytest.mark.parametrize("path", executables(*PARTS), ids=name)
def test_an_executable_is_a_few_lines_that_anyone_may_run(path: Path) -> None:
    assert PYTHON.match(path.read_bytes())
    assert len(path.read_text().splitlines()) <= 4
    assert stat.S_IMODE(path.stat().st_mode) & 0o111 == 0o111


@pytest.mark.parametrize("folder", [*OURS, "tests"])
def test_files_and_functions_are_short(folder: str) -> None:
    for path in sources(folder):
        assert facts(path).lines <= 400, name(path)
        for line, function, length in facts(path).functions:
            assert length <= 50, f"{name(path)}:{line}: {function} has {length} lines"


@pytest.mark.parametrize("folder", OURS)
def test_a_module_says_what_it_is(folder: str) -> None:
    for path in sources(folder):
        assert facts(path).words, name(path)
        assert path.stem not in VAGUE


@pytest.mark.parametrize("part", ["ganeti_ext", *PARTS])
def test_unexpected_errors_are_caught_at_an_edge_alone(part: str) -> None:
    for path in sources(part):
        assert not facts(path).catches_all or name(path) in BROAD, f"{name(path)}: catches everything"


@pytest.mark.parametrize("path", sorted(BROAD))
def test_an_edge_catches_everything_once(path: str) -> None:
    assert len(facts(ROOT / path).catches_all) == 1


def test_no_file_speaks_of_the_place_it_was_written_in() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    # What a picture has of words, is by chance.
    files = [ROOT / entry for entry in listed.stdout.split("\0") if entry and not entry.endswith(".png")]
    assert len(files) > 50
    found = {
        name(path): match.group() for path in files if path.is_file() and (match := FOREIGN.search(path.read_bytes()))
    }
    assert not found


@pytest.mark.parametrize("part", ["ganeti_ext", *PARTS])
def test_a_part_is_a_package_without_code(part: str) -> None:
    made = facts(ROOT / part / "__init__.py")
    assert made.words
    assert made.is_bare
