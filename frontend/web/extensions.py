"""GET /extensions: by which of Compute's extensions of old the API answers; clients look them up by alias."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from frontend.web.fault import NotFound

_SINCE = "2014-12-03T00:00:00Z"  # as Nova says of every one (nova/api/openstack/compute/extension_info.py)
_NAMESPACE = "http://docs.openstack.org/compute/ext/fake_xml"

# Alias and name, as Nova has them.
_KNOWN = (
    ("OS-DCF", "DiskConfig"),
    ("OS-EXT-AZ", "ExtendedAvailabilityZone"),
    ("OS-EXT-IMG-SIZE", "ImageSize"),
    ("OS-EXT-IPS", "ExtendedIps"),
    ("OS-EXT-IPS-MAC", "ExtendedIpsMac"),
    ("OS-EXT-STS", "ExtendedStatus"),
    ("OS-FLV-EXT-DATA", "FlavorExtraData"),
    ("OS-SCH-HNT", "SchedulerHints"),
    ("OS-SRV-USG", "ServerUsage"),
    ("os-availability-zone", "AvailabilityZone"),
    ("os-config-drive", "ConfigDrive"),
    ("os-console-output", "ConsoleOutput"),
    ("os-consoles", "Consoles"),
    ("os-extended-volumes", "ExtendedVolumes"),
    ("os-flavor-access", "FlavorAccess"),
    ("os-flavor-extra-specs", "FlavorExtraSpecs"),
    ("os-flavor-manage", "FlavorManage"),
    ("os-hosts", "Hosts"),
    ("os-hypervisors", "Hypervisors"),
    ("os-instance-actions", "InstanceActions"),
    ("os-keypairs", "Keypairs"),
    ("os-multiple-create", "MultipleCreate"),
    ("os-networks", "Networks"),
    ("os-quota-sets", "Quotas"),
    ("os-rescue", "Rescue"),
    ("os-security-groups", "SecurityGroups"),
    ("os-server-groups", "ServerGroups"),
    ("os-services", "Services"),
    ("os-simple-tenant-usage", "SimpleTenantUsage"),
    ("os-tenant-networks", "OSTenantNetworks"),
    ("os-used-limits", "UsedLimits"),
    ("os-user-data", "UserData"),
)


def list_all() -> Response:
    return jsonify({"extensions": [_shown(alias, name) for alias, name in _KNOWN]})


def show(extension: str) -> Response:
    for known, name in _KNOWN:
        if known == extension:
            return jsonify({"extension": _shown(known, name)})
    raise NotFound(f"There is no extension {extension}.")


def _shown(alias: str, name: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": name,
        "description": "",
        "links": [],
        "namespace": _NAMESPACE,
        "updated": _SINCE,
    }
