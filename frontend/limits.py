"""GET /limits: what the project may have, and has, as absolute numbers. There are no limits of rate."""

from __future__ import annotations

from flask import Response, jsonify, request

from frontend import context, quotas
from frontend.fault import Forbidden


def show() -> Response:
    """With every key that microversions below 2.36 have; `tenant_id` is for administrators."""
    project = request.args.get("tenant_id") or context.project_id()
    if project != context.project_id() and not context.is_admin():
        raise Forbidden("Only an administrator may see the limits of another project.")
    services = context.services()
    quota, profiles = services.settings.quota, services.settings.firewall.profiles
    with context.database() as connection:
        allowed, used = quotas.limits(connection, project), quotas.used(connection, project)
        groups = quotas.server_groups(connection, project)
    absolute = {
        "maxTotalInstances": allowed["instances"],
        "maxTotalCores": allowed["cores"],
        "maxTotalRAMSize": allowed["ram"],
        "maxTotalKeypairs": quota.keypairs,
        "maxServerMeta": quota.metadata,
        "maxImageMeta": quota.metadata,
        "maxServerGroups": quota.server_groups,
        "maxServerGroupMembers": quota.group_members,
        "maxPersonality": quotas.FILES,
        "maxPersonalitySize": quotas.FILE_OCTETS,
        "maxSecurityGroups": len(profiles) + 1,
        "maxSecurityGroupRules": 0,
        "maxTotalFloatingIps": 0,
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": groups,
        "totalSecurityGroupsUsed": len(profiles) + 1,
        "totalFloatingIpsUsed": 0,
    }
    return jsonify({"limits": {"rate": [], "absolute": absolute}})
