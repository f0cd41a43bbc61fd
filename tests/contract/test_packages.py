"""The packages: what is in them, and that a node takes them in and gives them up again without a trace."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from lab import layer

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(shutil.which("dh_python3") is None, reason="needs debhelper and dh-python"),
]

ROOT = Path(__file__).parents[2]
TREE = "usr/share/ganeti-ext"
FOLDERS = {
    "common": ["ganeti_ext", "monitor"],
    "nfdhcpd": ["nfdhcpd"],
    "network": ["kvm_ifup"],
    "extstorage": ["extstorage"],
    "eventd": ["eventd", "hooks"],
    "console": ["console"],
    "frontend": ["frontend"],
}
LINKS = {
    "common": {
        "usr/sbin/ganeti-ext-events": "../share/ganeti-ext/monitor/ganeti-ext-events",
        "usr/sbin/ganeti-ext-exporter": "../share/ganeti-ext/monitor/ganeti-ext-exporter",
    },
    "nfdhcpd": {
        "usr/sbin/nfdhcpd": "../share/ganeti-ext/nfdhcpd/nfdhcpd",
        "usr/sbin/nfdhcpdctl": "../share/ganeti-ext/nfdhcpd/nfdhcpdctl",
    },
    "network": {
        "usr/sbin/ganeti-ext-net": "../share/ganeti-ext/kvm_ifup/ganeti-ext-net",
        "usr/sbin/ganeti-ext-reaper": "../share/ganeti-ext/kvm_ifup/ganeti-ext-reaper",
    },
    "extstorage": {
        "usr/sbin/ganeti-ext-storage": "../share/ganeti-ext/extstorage/ganeti-ext-storage",
        "usr/share/ganeti/extstorage/cow": "../../ganeti-ext/extstorage/cow",
        "usr/share/ganeti/extstorage/rbd": "../../ganeti-ext/extstorage/rbd",
        "usr/share/ganeti/os/ganeti-ext": "../../ganeti-ext/extstorage/os",
    },
    "eventd": {"usr/sbin/ganeti-ext-eventd": "../share/ganeti-ext/eventd/ganeti-ext-eventd"},
    "console": {
        "usr/sbin/ganeti-ext-consoled": "../share/ganeti-ext/console/ganeti-ext-consoled",
        "usr/sbin/ganeti-ext-kvm": "../share/ganeti-ext/console/ganeti-ext-kvm",
    },
    "frontend": {
        "usr/sbin/ganeti-ext-consoleproxy": "../share/ganeti-ext/frontend/ganeti-ext-consoleproxy",
        "usr/sbin/ganeti-ext-consumer": "../share/ganeti-ext/frontend/ganeti-ext-consumer",
        "usr/sbin/ganeti-ext-importer": "../share/ganeti-ext/frontend/ganeti-ext-importer",
        "usr/sbin/ganeti-ext-manage": "../share/ganeti-ext/frontend/ganeti-ext-manage",
    },
}
NAMED = ("add", "modify", "reboot", "remove", "rename", "start")
MOVED = ("failover", "migrate", "modify", "remove", "stop")
HOOKED = ("add", "failover", "migrate", "modify", "reboot", "remove", "rename", "start", "stop")
CONFFILES = {
    "common": ["/etc/ganeti-ext/exporter.conf"],
    "nfdhcpd": ["/etc/ganeti-ext/nfdhcpd.conf"],
    "network": [
        "/etc/ganeti-ext/network.conf",
        "/etc/ganeti/kvm-vif-bridge",
        "/etc/ganeti/hooks/instance-tags-post.d/50-ganeti-ext-network",
        "/etc/ganeti/hooks/group-members-post.d/50-ganeti-ext-network",
        *(f"/etc/ganeti/hooks/instance-{verb}-post.d/50-ganeti-ext-network" for verb in MOVED),
        *(
            f"/etc/ganeti/network/{mode}/{way}"
            for mode in ("bridged", "openvswitch", "routed")
            for way in ("down", "up")
        ),
    ],
    "extstorage": [
        "/etc/ganeti-ext/cow.conf",
        "/etc/ganeti-ext/rbd.conf",
        "/etc/ganeti/hooks/instance-modify-pre.d/50-ganeti-ext-image",
    ],
    "eventd": [
        "/etc/ganeti-ext/dns.conf",
        "/etc/ganeti-ext/eventd.conf",
        *(f"/etc/ganeti/hooks/instance-{verb}-post.d/60-ganeti-ext-dns" for verb in NAMED),
        *(f"/etc/ganeti/hooks/instance-{verb}-post.d/50-ganeti-ext-note" for verb in HOOKED),
    ],
    "console": ["/etc/ganeti-ext/console.conf"],
    "frontend": ["/etc/ganeti-ext/frontend.conf"],
}
NEEDED = ("qemu-utils",)  # of what the packages depend on, what the nodes' base has not
UNITS = {
    "common": {"ganeti-ext-exporter"},
    "nfdhcpd": {"nfdhcpd"},
    "network": {"ganeti-ext-reaper"},
    "extstorage": set(),
    "eventd": {"ganeti-ext-eventd"},
    "console": {"ganeti-ext-consoled"},
    "frontend": {"ganeti-ext-api", "ganeti-ext-consoleproxy", "ganeti-ext-consumer", "ganeti-ext-importer"},
}
DROP_INS = {
    "nfdhcpd": {"ganeti-ext-exporter.service.d", "ganeti-ext-exporter.service.d/nfdhcpd.conf"},
    "console": {r"run-ganeti\x2dext-console.mount"},
}
# ganeti-extstorage-interface(7): seven that must be there, and three that may.
VERBS = ("create", "attach", "detach", "remove", "grow", "setinfo", "verify", "snapshot", "open", "close")
SECRET = {"etc/ganeti-ext/eventd.conf", "etc/ganeti-ext/frontend.conf"}


@pytest.fixture(scope="module")
def debs() -> dict[str, Path]:
    """Each package's file by the last word of its name, built if the tree has changed."""
    subprocess.run([ROOT / "debian/build"], check=True, timeout=120)
    found = sorted((ROOT / "build/deb").glob("*.deb"))
    return {path.name.split("_")[0].removeprefix("ganeti-ext-"): path for path in found}


@pytest.fixture(scope="module")
def contents(debs: Mapping[str, Path]) -> dict[str, dict[str, tarfile.TarInfo]]:
    """What each package puts where."""
    found = {}
    for name, path in debs.items():
        archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            found[name] = {member.name.removeprefix("./"): member for member in tar}
    return found


def control(deb: Path, name: str) -> str:
    """A file of a package's control archive, or nothing."""
    done = subprocess.run(["dpkg-deb", "--info", deb, name], capture_output=True, text=True, check=False)
    return done.stdout


def test_there_are_seven_of_one_version_for_every_architecture(debs: dict[str, Path]) -> None:
    assert set(debs) == set(FOLDERS)
    assert {path.name.split("_", 1)[1] for path in debs.values()} == {"0.1.0_all.deb"}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_package_holds_its_folders_as_they_are_here(
    contents: dict[str, dict[str, tarfile.TarInfo]], name: str
) -> None:
    there = {path: member for path, member in contents[name].items() if path.startswith(f"{TREE}/")}
    files = {path for path, member in there.items() if not member.isdir()}
    here = [path for folder in FOLDERS[name] for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts]
    ours = {f"{TREE}/{path.relative_to(ROOT)}": path for path in here if path.is_symlink() or not path.is_dir()}
    assert files == set(ours)
    for path, source in ours.items():
        if source.is_symlink():
            assert there[path].linkname == os.readlink(source)
        else:
            assert bool(there[path].mode & 0o111) == os.access(source, os.X_OK), path


@pytest.mark.parametrize("provider", ["cow", "rbd"])
def test_a_provider_has_ganetis_ten_verbs(contents: dict[str, dict[str, tarfile.TarInfo]], provider: str) -> None:
    folder = f"{TREE}/extstorage/{provider}"
    for verb in VERBS:
        assert contents["extstorage"][f"{folder}/{verb}"].linkname == "_run", verb
    assert contents["extstorage"][f"{folder}/_run"].mode == 0o755
    assert contents["extstorage"][f"{folder}/parameters.list"].mode == 0o644


@pytest.mark.parametrize("name", FOLDERS)
def test_nothing_of_the_developers_is_in_a_package(contents: dict[str, dict[str, tarfile.TarInfo]], name: str) -> None:
    strange = {"__pycache__", "tests", "lab", "bench", "conftest.py", "pyproject.toml", "Makefile", ".git"}
    assert not {path for path in contents[name] if strange & set(path.split("/")) or path.endswith(".pyc")}


def test_no_two_packages_hold_the_same_file(contents: dict[str, dict[str, tarfile.TarInfo]]) -> None:
    files = [path for inside in contents.values() for path, member in inside.items() if not member.isdir()]
    assert len(files) == len(set(files))


@pytest.mark.parametrize("name", LINKS)
def test_links_lead_into_the_same_package(contents: dict[str, dict[str, tarfile.TarInfo]], name: str) -> None:
    inside = contents[name]
    links = {path: member.linkname for path, member in inside.items() if member.issym() and TREE not in path}
    assert links == LINKS[name]
    for path, target in links.items():
        assert os.path.normpath(os.path.join(os.path.dirname(path), target)) in inside


@pytest.mark.parametrize("name", LINKS)
def test_each_command_has_its_manual(contents: dict[str, dict[str, tarfile.TarInfo]], name: str) -> None:
    commands = {path.rpartition("/")[2] for path in LINKS[name] if path.startswith("usr/sbin/")}
    folder = "usr/share/man/man8/"
    assert {path.removeprefix(folder) for path in contents[name] if path.startswith(folder) and path != folder} == {
        f"{command}.8.gz" for command in commands
    }


@pytest.mark.parametrize("name", CONFFILES)
def test_what_an_administrator_may_edit_is_a_conffile(debs: dict[str, Path], name: str) -> None:
    assert sorted(control(debs[name], "conffiles").split()) == sorted(CONFFILES[name])


@pytest.mark.parametrize("name", CONFFILES)
def test_modes_of_configuration(contents: dict[str, dict[str, tarfile.TarInfo]], name: str) -> None:
    for path in (path.removeprefix("/") for path in CONFFILES[name]):
        program = not path.startswith("etc/ganeti-ext/")
        assert contents[name][path].mode == (0o640 if path in SECRET else 0o755 if program else 0o644), path


@pytest.mark.parametrize("name", UNITS)
def test_units(contents: dict[str, dict[str, tarfile.TarInfo]], name: str) -> None:
    folder = "usr/lib/systemd/system/"
    found = {path.removeprefix(folder) for path in contents[name] if path.startswith(folder) and path != folder}
    assert found - DROP_INS.get(name, set()) == {f"{unit}.service" for unit in UNITS[name]}
    assert found >= DROP_INS.get(name, set())


@pytest.mark.parametrize("name", FOLDERS)
def test_everything_is_roots_and_nothing_is_open(contents: dict[str, dict[str, tarfile.TarInfo]], name: str) -> None:
    for path, member in contents[name].items():
        assert (member.uid, member.gid) == (0, 0), path
        assert member.issym() or not member.mode & 0o6022, path


def test_lintian_finds_no_error(debs: dict[str, Path]) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error", *debs.values()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# Runs in namespaces of its own: mounts, rules and network interfaces end with it.
NODE = """
set -eu
mount -t tmpfs tmpfs "$SCRATCH"
cd "$SCRATCH"
mkdir upper work node
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=upper,workdir=work" node
mount -t proc proc node/proc
mount --rbind /dev node/dev
ip link set lo up
rmdir node/usr/share/ganeti-ext  # the checkout stood there when the layer was made
printf '#!/bin/sh\\nexit 101\\n' >node/usr/sbin/policy-rc.d
chmod 755 node/usr/sbin/policy-rc.d
mkdir node/srv/debs node/srv/ganeti-ext
echo "a tenant's" >node/srv/ganeti-ext/disk
cp "$DEBS"/*.deb node/srv/debs

inside() {
    chroot node env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}
files() {
    find node -xdev -path node/dev -prune -o -path node/var/cache -prune -o -path node/var/lib/dpkg -prune -o \
        -path node/var/lib/apt -prune -o -path node/var/log -prune -o -printf '%y %m %P %l\\n' -o -true | sort
    find node/var/log/ganeti
}
"""
INSTALL = "inside sh -c 'apt-get install --yes --quiet --reinstall /srv/debs/*.deb'"
WORK = """
inside nfdhcpd --help >/dev/null
inside nfdhcpdctl --help >/dev/null
inside ganeti-ext-eventd --help >/dev/null
inside ganeti-ext-manage --help >/dev/null
inside ganeti-ext-consumer --help >/dev/null
inside ganeti-ext-importer --help >/dev/null
inside ganeti-ext-storage --help >/dev/null
inside ganeti-ext-events --help >/dev/null
inside ganeti-ext-consoled --help >/dev/null
inside ganeti-ext-kvm --version | grep QEMU >/dev/null
inside ganeti-ext-exporter --once | grep '^ganeti_ext_up{daemon="nfdhcpd"} 0' >/dev/null
inside nfdhcpd --divert || true  # a kernel without the modules has other tests to fail
inside nft add table bridge ganeti_ext
inside sh -c 'touch /var/lib/nfdhcpd/tap0 /var/lib/ganeti-ext/eventd/outbox.db /var/spool/ganeti-ext/notes/n'
inside sh -c 'touch /var/lib/ganeti-ext/frontend/front.db /var/log/ganeti/extstorage/verify.log'
"""


def on_a_node(debs: Mapping[str, Path], scratch: Path, script: str) -> str:
    """Stdout of a script on a fresh node's files, without its services."""
    done = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", NODE + script],
        env={
            **os.environ,
            "BASE": layer.lower("packages", NEEDED),
            "DEBS": str(next(iter(debs.values())).parent),
            "SCRATCH": str(scratch),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def test_purging_leaves_nothing_but_the_tenants_disks(debs: dict[str, Path], tmp_path: Path) -> None:
    script = f"""
files >before
{INSTALL} >&2
{WORK}
inside apt-get purge --yes --quiet 'ganeti-ext-*' >&2
files >after
diff before after || true
inside nft list tables | grep -e ganeti -e nfdhcpd || true
inside iptables -t mangle -S | grep nfdhcpd || true
inside ip6tables -t mangle -S | grep nfdhcpd || true
cat node/srv/ganeti-ext/disk
"""
    assert on_a_node(debs, tmp_path, script) == "a tenant's\n"


def test_installing_makes_directories_for_their_owners_and_compiles_everything(
    debs: dict[str, Path], tmp_path: Path
) -> None:
    directories = {
        "/etc/ganeti-ext/frontend.conf": "640 root ganeti-ext",
        "/etc/ganeti-ext/eventd.conf": "640 root root",
        "/var/lib/nfdhcpd": "755 root root",
        "/var/lib/ganeti-ext/eventd": "2770 root ganeti-ext",
        "/var/lib/ganeti-ext/frontend": "750 ganeti-ext ganeti-ext",
        "/run/ganeti-ext/vnc": "700 root root",
        "/var/spool/ganeti-ext/notes": "700 root root",
        "/var/log/ganeti/extstorage": "750 root root",
    }
    script = f"""
{INSTALL} >&2
inside stat --format='%a %U %G' {shlex.join(directories)}
inside find /usr/share/ganeti-ext -name '*.py' | wc -l
inside find /usr/share/ganeti-ext -path '*/__pycache__/*.pyc' | wc -l
"""
    *found, modules, compiled = on_a_node(debs, tmp_path, script).splitlines()
    assert found == list(directories.values())
    assert int(modules) == int(compiled) > 0


def test_an_upgrade_keeps_what_the_administrator_changed(debs: dict[str, Path], tmp_path: Path) -> None:
    script = f"""
{INSTALL} >&2
inside sh -c 'echo "# mine" >>/etc/ganeti-ext/frontend.conf && rm /etc/ganeti/hooks/instance-stop-post.d/50-*'
{INSTALL} >&2
inside tail -n 1 /etc/ganeti-ext/frontend.conf
inside stat --format='%a %G' /etc/ganeti-ext/frontend.conf
inside ls /etc/ganeti/hooks/instance-stop-post.d /etc/ganeti/hooks/instance-start-post.d
"""
    assert on_a_node(debs, tmp_path, script).split() == [
        *("#", "mine", "640", "ganeti-ext"),
        "/etc/ganeti/hooks/instance-start-post.d:",
        "50-ganeti-ext-note",
        "60-ganeti-ext-dns",
        "/etc/ganeti/hooks/instance-stop-post.d:",
    ]


def test_systemd_understands_every_unit(debs: dict[str, Path], tmp_path: Path) -> None:
    units = [f"/usr/lib/systemd/system/{unit}.service" for found in UNITS.values() for unit in sorted(found)]
    script = f"{INSTALL} >&2\ninside systemd-analyze verify --man=no {shlex.join(units)} 2>&1\n"
    assert on_a_node(debs, tmp_path, script) == ""
