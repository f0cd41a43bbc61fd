"""What belongs to another project, and how every route is asked for it: a route without its line here fails its test.

Each name of a part of a URL stands for one thing of project `foreign`, and for one that never was. Bodies are made of
the same names, so that a stranger also names what he is not to know in what he sends.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert
from sqlalchemy.engine import Engine

from frontend.compute.serveract import ACTIONS
from frontend.database import db
from frontend.network.netview import default_group_id, made
from frontend.routes import COMPUTE, NETWORK, TENANT
from frontend.routes import IMAGE as IMAGE_API
from frontend.volume import volumestate
from frontend.volume.volumeview import attachment_id
from tests.unit.frontend import strangers_network, strangers_volume
from tests.unit.frontend.conftest import BOB, FOREIGN, IMAGE, MINE, NET, SECRET_IMAGE, SMALL, Api

Ids = strangers_volume.Ids

SERVER = "0ddddddd-0000-4000-8000-000000000001"
NIC = "0eeeeeee-0000-4000-8000-000000000001"
FREE_PORT, FLOATING = "0eeeeeee-1111-4000-8000-000000000001", "0eeeeeee-2222-4000-8000-000000000001"
FLAVOR = "f-foreign"
GROUP = "0fffffff-0000-4000-8000-000000000001"
CREDENTIAL = "ca" * 16
REQUEST = "req-0aaaaaaa-1111-4000-8000-000000000001"
OWN = "0ddddddd-1111-4000-8000-000000000001"
OWN_GROUP, OWN_RULE = "0fffffff-1111-4000-8000-000000000001", "0fffffff-2222-4000-8000-000000000001"
TENANT_NET = "0bbbbbbb-6666-4000-8000-000000000001"
VOLUME, OWN_VOLUME = "0dd00000-0000-4000-8000-000000000001", "0dd00000-1111-4000-8000-000000000001"
ATTACHMENT = attachment_id({"id": VOLUME, "server_id": SERVER})
TRANSFER = "0dd00000-2222-4000-8000-000000000001"
SNAPSHOT, OWN_SNAPSHOT = "0dd00000-3333-4000-8000-000000000001", "0dd00000-4444-4000-8000-000000000001"
NEVER = "0abcdef0-9999-4999-8999-999999999999"

# What a part of a URL names: what is another project's, and what never was. None: it is everybody's.
FOREIGN_IDS: Mapping[str, str | None] = {
    "server_id": SERVER,
    "image_id": SECRET_IMAGE,
    "member_id": FOREIGN,
    "flavor_id": FLAVOR,
    "network_id": TENANT_NET,
    "subnet_id": made("subnet4", TENANT_NET),
    "domain_id": None,
    "alias": None,
    "port_id": NIC,
    "floatingip_id": FLOATING,
    "group_id": OWN_GROUP,
    "project_id": FOREIGN,
    "user_id": BOB,
    "server_group_id": GROUP,
    "credential_id": CREDENTIAL,
    "keypair_name": "hush-key",
    "rule_id": OWN_RULE,
    "request_id": REQUEST,
    "volume_id": VOLUME,
    "transfer_id": TRANSFER,
    "attachment_id": ATTACHMENT,
    "absent_id": None,
    "snapshot_id": SNAPSHOT,
    "tenant": None,
    "type_id": None,
    "class_name": None,
    "host_name": "hush-host",
    "spec": "hush-spec",
    "key": "hush-meta",
    "tag": "hush-tag",
    "hypervisor_id": "hush-host",
    "pattern": "hush-host",
    "network": None,
    "extension": None,
    "role_id": None,
    "provider": None,
    "protocol": None,
}
COMMON = {
    "domain_id": "default",
    "alias": "quotas",
    "network": "net1",
    "extension": "os-extended-ips",
    "role_id": "member",
    "provider": "idp",
    "protocol": "saml2",
    "tenant": MINE,
    "type_id": "cow",
    "absent_id": "absent",
    "class_name": "default",
}
# In place of another project's: what an own one is called.
OWN_IDS = {"server_id": OWN, "volume_id": OWN_VOLUME, "snapshot_id": OWN_SNAPSHOT}

# They stand in what is the other project's, and must come to nobody else: also what was never sent.
SECRETS = (
    *("hush-name", "hush-key", "hush-tag", "hush-meta", "hush-value", "hush-fault", "hush-host", "hush-group"),
    *("hush-flavor", "hush-spec", "hush-image", "hush-credential", "hush-description", "hush-user", "10.66.66.66"),
    *("aa:00:66:66:66:66", "fd66::66", "hush-action", "AAAAhush"),
    *(SERVER, NIC, SECRET_IMAGE, FLAVOR, GROUP, CREDENTIAL, REQUEST, FOREIGN, BOB, default_group_id(FOREIGN)),
    *(VOLUME, TRANSFER, ATTACHMENT, SNAPSHOT, "hush-snapshot", "hush-volume", "gx-vol-0dd00000-0"),
    *("bob", "gx-0ddddddd", OWN_GROUP, OWN_RULE, TENANT_NET, "hush-rules", "hush-net", "10.66.0.0", "10.67.0."),
    *(FREE_PORT, "aa:00:66:66:66:67", FLOATING, "10.0.0.66"),
)

Body = strangers_volume.Body


def _create(**more: Any) -> dict[str, Any]:
    return {"server": {"name": "web", "flavorRef": SMALL, "imageRef": IMAGE, **more}}


def _boot(source: str, ident: str) -> dict[str, Any]:
    device = {"source_type": source, "destination_type": "volume", "uuid": ident, "boot_index": 0, "volume_size": 9}
    return _create(imageRef="", block_device_mapping_v2=[device])


# What is sent; a call without a body has none here. Each is refused to a stranger, or changes nothing of another's.
BODIES: Mapping[str, tuple[Body, ...]] = {
    "POST /identity/v3/auth/tokens": (
        lambda ids: _password({"id": ids["user_id"], "password": "x"}),
        lambda ids: _password({"name": "bob" if ids["user_id"] == BOB else "nobody", "password": "x"}, domain=True),
    ),
    f"POST {COMPUTE}/servers": (
        lambda ids: _create(imageRef=ids["image_id"]),
        lambda ids: _create(flavorRef=ids["flavor_id"]),
        lambda ids: _create(networks=[{"port": ids["port_id"]}]),
        lambda ids: _create(networks=[{"uuid": ids["server_id"]}]),
        lambda ids: _create(security_groups=[{"name": ids["group_id"]}]),
        lambda ids: _create(key_name=ids["keypair_name"]),
        lambda ids: _boot("volume", ids["volume_id"]),
        lambda ids: _boot("snapshot", ids["snapshot_id"]),
        lambda ids: _boot("image", ids["image_id"]),
        lambda ids: {**_create(), "os:scheduler_hints": {"group": ids["server_group_id"]}},
        lambda ids: {**_create(), "os:scheduler_hints": {"different_host": [ids["server_id"]]}},
    ),
    f"POST {COMPUTE}/servers/<server_id>/action": tuple(strangers_volume.do(name) for name in (*ACTIONS, "nonsense")),
    f"POST {COMPUTE}/servers/<server_id>/remote-consoles": (
        lambda _: {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    ),
    "POST /identity/v3/users/<user_id>/application_credentials": (
        lambda _: {"application_credential": {"name": "hush-credential"}},
    ),
    f"POST {COMPUTE}/flavors": (lambda ids: _flavor("x", ids["flavor_id"]), lambda _: _flavor("hush-flavor", "x")),
    f"POST {COMPUTE}/flavors/<flavor_id>/action": (
        lambda ids: {"addTenantAccess": {"tenant": ids["project_id"]}},
        lambda ids: {"removeTenantAccess": {"tenant": ids["project_id"]}},
    ),
    f"POST {COMPUTE}/flavors/<flavor_id>/os-extra_specs": (lambda ids: {"extra_specs": {ids["spec"]: "x"}},),
    f"PUT {COMPUTE}/flavors/<flavor_id>/os-extra_specs/<spec>": (lambda ids: {ids["spec"]: "x"},),
    f"POST {COMPUTE}/os-keypairs": (
        lambda ids: {"keypair": {"name": ids["keypair_name"], "public_key": "no key"}},
        lambda ids: {"keypair": {"name": "own", "user_id": ids["user_id"], "public_key": "no key"}},
    ),
    f"PUT {COMPUTE}/os-quota-sets/<project_id>": (lambda _: {"quota_set": {"instances": 99}},),
    f"PUT {COMPUTE}/os-quota-class-sets/<class_name>": (lambda _: {"quota_class_set": {"instances": 99}},),
    f"POST {COMPUTE}/os-server-groups": (
        lambda ids: {"server_group": {"name": "hush-group", "policies": [ids["server_group_id"]]}},
    ),
    **{
        f"POST {url}": (lambda ids: {"security_group": {"name": "", "id": ids["group_id"]}},)
        for url in (
            f"{COMPUTE}/os-security-groups",
            f"{NETWORK}/security-groups",
        )
    },
    **{
        f"PUT {url}/<group_id>": (lambda _: {"security_group": {"name": "x"}},)
        for url in (
            f"{COMPUTE}/os-security-groups",
            f"{NETWORK}/security-groups",
        )
    },
    f"POST {COMPUTE}/os-security-group-rules": (
        lambda ids: {"security_group_rule": {"parent_group_id": ids["group_id"]}},
    ),
    "POST /identity/v3/OS-FEDERATION/identity_providers/<provider>/protocols/<protocol>/auth": (lambda _: {},),
    "POST /identity/v3/auth/OS-FEDERATION/credential": (lambda _: {},),
    f"POST {COMPUTE}/servers/<server_id>/metadata": (lambda ids: {"metadata": {ids["key"]: "x"}},),
    f"PUT {COMPUTE}/servers/<server_id>/metadata": (lambda ids: {"metadata": {ids["key"]: "x"}},),
    f"PUT {COMPUTE}/servers/<server_id>/metadata/<key>": (lambda ids: {"meta": {ids["key"]: "x"}},),
    f"POST {COMPUTE}/images/<image_id>/metadata": (lambda ids: {"metadata": {ids["key"]: "x"}},),
    f"PUT {COMPUTE}/images/<image_id>/metadata": (lambda ids: {"metadata": {ids["key"]: "x"}},),
    f"PUT {COMPUTE}/images/<image_id>/metadata/<key>": (lambda ids: {"meta": {ids["key"]: "x"}},),
    f"PATCH {IMAGE_API}/images/<image_id>": (lambda _: {"name": "x"},),
    f"PUT {IMAGE_API}/images/<image_id>/stage": (lambda _: {"name": "x"},),
    f"POST {IMAGE_API}/images/<image_id>/import": (lambda _: {"method": {"name": "glance-direct"}},),
    f"POST {IMAGE_API}/images/<image_id>/actions/deactivate": (lambda _: {},),
    f"POST {IMAGE_API}/images/<image_id>/actions/reactivate": (lambda _: {},),
    f"PUT {IMAGE_API}/images/<image_id>/tags/<tag>": (lambda _: {},),
    f"POST {IMAGE_API}/images/<image_id>/members": (lambda ids: {"member": ids["project_id"]},),
    f"PUT {IMAGE_API}/images/<image_id>/members/<member_id>": (lambda _: {"status": "accepted"},),
    f"POST {IMAGE_API}/images": (lambda ids: {"id": ids["image_id"], "name": "x", "disk_format": "none"},),
    f"PUT {IMAGE_API}/images/<image_id>/file": (lambda _: {},),
    f"PUT {COMPUTE}/servers/<server_id>/tags": (lambda _: {"tags": ["x"]},),
    f"PUT {COMPUTE}/servers/<server_id>/tags/<tag>": (lambda _: {},),
    f"PUT {COMPUTE}/servers/<server_id>": (lambda _: {"server": {"name": "x"}},),
    **{
        f"POST {url}": (
            lambda ids: {"volume": {"size": 99, "imageRef": ids["image_id"]}},
            lambda ids: {"volume": {"size": 99, "source_volid": ids["volume_id"]}},
            lambda ids: {"volume": {"size": 99, "snapshot_id": ids["snapshot_id"]}},
        )
        for url in (f"{TENANT}/volumes", f"{COMPUTE}/os-volumes")
    },
    f"POST {COMPUTE}/servers/<server_id>/os-volume_attachments": (
        lambda ids: {"volumeAttachment": {"volumeId": ids["volume_id"]}},
    ),
    f"POST {COMPUTE}/servers/<server_id>/os-interface": (
        lambda ids: {"interfaceAttachment": {"net_id": ids["network_id"]}},
        lambda ids: {"interfaceAttachment": {"port_id": ids["port_id"]}},
    ),
    f"PUT {COMPUTE}/servers/<server_id>/os-volume_attachments/<volume_id>": (
        lambda ids: {"volumeAttachment": {"volumeId": ids["volume_id"]}},
    ),
    **strangers_volume.BODIES,
    **strangers_network.BODIES,
}

# On a server of the stranger's own: what it is told to become may be another's no more.
OWN_ACTIONS: tuple[Body, ...] = (
    lambda ids: {"resize": {"flavorRef": ids["flavor_id"]}},
    lambda ids: {"rebuild": {"imageRef": ids["image_id"]}},
    lambda ids: {"rescue": {"rescue_image_ref": ids["image_id"]}},
    lambda ids: {"addSecurityGroup": {"name": ids["group_id"]}},
    lambda ids: {"removeSecurityGroup": {"name": ids["group_id"]}},
)


def _flavor(name: str, ident: str) -> dict[str, Any]:
    return {"flavor": {"name": name, "id": ident, "vcpus": 1, "ram": 512, "disk": 5}}


def _password(user: dict[str, Any], *, domain: bool = False) -> dict[str, Any]:
    named = {**user, "domain": {"id": "default"}} if domain else user
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": named}}}}


# Of lists: keys of the query, with what of the other project's they are given and what never was.
FILTERS: tuple[tuple[str, str, str], ...] = (
    *((key, SERVER, NEVER) for key in ("id", "uuid", "marker", "device_id", "instance_uuid")),
    *((key, FOREIGN, NEVER) for key in ("project_id", "tenant_id", "owner", "owner_id", "all_tenants")),
    *((key, BOB, NEVER) for key in ("user_id", "user")),
    *((key, "hush-name", "hu-never") for key in ("name", "display_name", "hostname")),
    *((key, "10.66.66.66", "10.66.66.67") for key in ("ip", "fixed_ips", "ip_address", "access_ip_v4")),
    *((key, "hush-tag", "hu-never") for key in ("tag", "tags", "tags-any")),
    *((key, SECRET_IMAGE, NEVER) for key in ("image", "id", "marker")),
    *((key, FLAVOR, NEVER) for key in ("flavor", "id", "marker")),
    *((key, GROUP, NEVER) for key in ("id", "marker", "security_group_id")),
    ("id", f"in:{SECRET_IMAGE},{SERVER}", f"in:{NEVER}"),
    *((key, VOLUME, NEVER) for key in ("id", "marker", "source_volid")),
    *((key, TRANSFER, NEVER) for key in ("id", "marker")),
    *((key, SNAPSHOT, NEVER) for key in ("id", "marker", "snapshot_id")),
    ("volume_id", VOLUME, NEVER),
    ("name", "hush-snapshot", "hu-never"),
    *((key, "hush-volume", "hu-never") for key in ("name", "display_name")),
    ("metadata", "{'hush-meta': 'hush-value'}", "{'hu-never': 'hu-never'}"),
    ("name", "hush-image", "hu-never"),
    ("name", "foreign", "hu-never"),
    ("name", "hush-net", "hu-never"),
    ("name", "hush-rules", "hu-never"),
    ("network_id", TENANT_NET, NEVER),
    ("project_id", FOREIGN, NEVER),
    ("name", "hush-key", "hu-never"),
    ("marker", "hush-key", "hu-never"),
    ("mac_address", "aa:00:66:66:66:66", "aa:00:66:66:66:67"),
    ("host", "hush-host", "hu-never"),
    ("key_name", "hush-key", "hu-never"),
    ("changes-since", "2001-01-01T00:00:00Z", "2001-01-01T00:00:01Z"),
    ("ip", "^1", "^no"),
    ("name", ".*", "^$"),
)


def ids(kind: str) -> dict[str, str]:
    """What parts of URLs and bodies name: `foreign`, or `never`."""
    found = {name: COMMON[name] for name, value in FOREIGN_IDS.items() if value is None}
    theirs = {name: value for name, value in FOREIGN_IDS.items() if value is not None}
    if kind == "foreign":
        return {**found, **theirs}
    return {**found, **dict.fromkeys(theirs, NEVER)}


def furnish(api: Api) -> None:
    """Put what is another project's in, and an administrator of project `mine`."""
    _add_server(api)
    with api.engine.begin() as connection:
        hashed = connection.execute(db.user.select().where(db.user.c.name == "alice")).mappings().one()["password_hash"]
        admin = {"id": "a-ada", "name": "ada", "password_hash": hashed, "enabled": True}
        connection.execute(insert(db.user).values(admin))
        connection.execute(insert(db.membership).values(user_id="a-ada", project_id=MINE, role="admin"))
        connection.execute(db.image.update().where(db.image.c.id == SECRET_IMAGE).values(
            name="hush-image", tags=["hush-tag"], properties={"hush-spec": "hush-value"}
        ))  # fmt: skip
    _add_to_compute(api.engine)
    _add_volumes(api.engine)


def furnish_own(api: Api) -> None:
    """A server and a volume of project `mine`."""
    api.server(id=OWN, name="own")
    whose = {"name": "own", "project_id": MINE, "user_id": "a-alice"}
    add_volume(api.engine, OWN_VOLUME, **whose, held=True)
    add_snapshot(api.engine, OWN_SNAPSHOT, volume_id=OWN_VOLUME, **whose)


def add_volume(engine: Engine, ident: str, **values: Any) -> None:
    row = {**volumestate.new_row(ident, f"gx-vol-{ident}", {}, time.time()), "type": "cow", "size": 1, **values}
    with engine.begin() as connection:
        connection.execute(insert(db.volume).values({**row, "status": volumestate.status(row)}))


def add_snapshot(engine: Engine, ident: str, **values: Any) -> None:
    row = {"size": 1, "status": "available", "provider": "cow", "created": time.time(), "updated": time.time()}
    with engine.begin() as connection:
        connection.execute(insert(db.volume_snapshot).values(**row, id=ident, **values))


def _add_volumes(engine: Engine) -> None:
    about = {
        "name": "hush-volume",
        "project_id": FOREIGN,
        "user_id": BOB,
        "host": "hush-host",
        "metadata": {"hush-meta": "hush-value"},
        "facts": {"description": "hush-description"},
    }
    add_volume(engine, VOLUME, **about, server_id=SERVER, device="/dev/vdc", attached=time.time(), held=False)
    offered = VOLUME[:-1] + "2"
    add_volume(engine, offered, **about, held=True, task="awaiting-transfer")
    add_volume(engine, VOLUME[:-1] + "3", **about, fault="hush-fault")
    add_volume(engine, VOLUME[:-1] + "4", **about, deleted=time.time())
    known = {"name": "hush-snapshot", "metadata": {"hush-meta": "hush-value"}, "description": "hush-description"}
    add_snapshot(engine, SNAPSHOT, volume_id=VOLUME, project_id=FOREIGN, user_id=BOB, **known)
    transfer = {"id": TRANSFER, "volume_id": offered, "project_id": FOREIGN, "name": "hush-name", "key_hash": "x"}
    with engine.begin() as connection:
        connection.execute(insert(db.volume_transfer).values(**transfer, created=time.time()))


def _add_server(api: Api) -> None:
    nic = {"network": "net1", "ip": "10.66.66.66", "ip6": "fd66::66", "mac": "aa:00:66:66:66:66", "uuid": NIC}
    facts = {"key": "hush-key", "description": "hush-description", "label": "hush-tag", "group": GROUP}
    about = {"name": "hush-name", "nics": [nic], "facts": facts, "metadata": {"hush-meta": "hush-value"}}
    whose = {"project_id": FOREIGN, "user_id": BOB, "host": "hush-host"}
    api.server(id=SERVER, **about, **whose, image_id=SECRET_IMAGE, flavor_id=FLAVOR)
    broken = SERVER[:-1] + "2"
    api.server(id=broken, **{**about, "nics": []}, **whose, status="ERROR", fault="hush-fault")
    api.server(id=SERVER[:-1] + "3", **{**about, "nics": []}, **whose, deleted=time.time())


def _add_to_compute(engine: Engine) -> None:
    now = time.time()
    with engine.begin() as connection:
        for table, values in (
            (db.flavor, {"id": FLAVOR, "name": "hush-flavor", "vcpus": 1, "ram": 512, "disk": 5, "public": False,
                         "extra_specs": {"hush-spec": "hush-value"}, "description": "hush-description"}),
            (db.flavor_access, {"flavor_id": FLAVOR, "project_id": FOREIGN}),
            (db.keypair, {"user_id": BOB, "name": "hush-key", "type": "ssh", "public_key": "ssh-ed25519 AAAAhush",
                          "fingerprint": "hush-finger", "created": now}),
            (db.security_group, {"id": OWN_GROUP, "project_id": FOREIGN, "name": "hush-rules", "created": now,
                                 "description": "hush-description", "updated": now}),
            (db.security_group_rule, {"id": OWN_RULE, "group_id": OWN_GROUP, "direction": "ingress",
                                      "ethertype": "IPv4", "remote_ip": "10.66.0.0/16", "created": now,
                                      "description": "hush-description"}),
            (db.network, {"id": TENANT_NET, "name": f"hush-net.{TENANT_NET}", "subnet": "10.67.0.0/24",
                          "gateway": "10.67.0.1", "updated": now,
                          "tags": [f"ganeti-ext:project:{FOREIGN}", "ganeti-ext:description:hush-description",
                                   "ganeti-ext:label:hush-tag", "ganeti-ext:name4:hush-net"]}),
            (db.tenant_network, {"id": TENANT_NET, "project_id": FOREIGN, "name": "hush-net", "created": now,
                                 "facts": {"description": "hush-description", "label": "hush-tag"}}),
            (db.port, {"id": FREE_PORT, "project_id": FOREIGN, "network": TENANT_NET, "address": "10.67.0.9",
                       "mac": "aa:00:66:66:66:67", "facts": {"name": "hush-name", "description": "hush-description"},
                       "created": now, "updated": now}),
            (db.port, {"id": FLOATING, "project_id": FOREIGN, "network": NET, "address": "10.0.0.66",
                       "mac": "aa:00:66:66:66:68", "facts": {"floating": True, "description": "hush-description"},
                       "created": now, "updated": now}),
            (db.server_group, {"id": GROUP, "project_id": FOREIGN, "user_id": BOB, "name": "hush-group",
                               "policy": "anti-affinity", "created": now}),
            (db.application_credential, {"id": CREDENTIAL, "user_id": BOB, "project_id": FOREIGN,
                                         "name": "hush-credential", "secret_hash": "x", "roles": ["member"],
                                         "unrestricted": False, "created": now, "description": "hush-description"}),
            (db.request, {"id": REQUEST, "server_id": SERVER, "action": "hush-action", "user_id": BOB,
                          "project_id": FOREIGN, "began": now, "jobs": [50], "message": None}),
            (db.sample, {"server_id": SERVER, "at": now, "began": "hush-value", "cpu_ns": 1, "memory_kib": 1, "read": 1,
                         "written": 1, "nics": [["hush-name", *range(8)]]}),
        ):  # fmt: skip
            connection.execute(insert(table).values(values))
