"""GET /limits: what the project may have, and has, as absolute numbers. There are no limits of rate."""

from __future__ import annotations

from flask import Response, jsonify, request

from frontend.compute import quotas
from frontend.network import groupstore, portquota
from frontend.quota import limits
from frontend.web import context
from frontend.web.fault import Forbidden


def show() -> Response:
    """With every key that microversions below 2.36 have; `tenant_id` is for administrators."""
    project = request.args.get("tenant_id") or context.project_id()
    if project != context.project_id() and not context.is_admin():
        raise Forbidden("Only an administrator may see the limits of another project.")
    services = context.services()
    quota = services.settings.quota
    with context.database() as connection:
        allowed, used = limits.of(connection, project), quotas.used(connection, project)
        floating = portquota.floating(connection, project)
        groups = quotas.server_groups(connection, project)
        security_groups = len(groupstore.names(connection, project))
    absolute = {
        "maxTotalInstances": allowed["servers"],
        "maxTotalCores": allowed["cores"],
        "maxTotalRAMSize": allowed["ram"],
        "maxTotalKeypairs": quota.keypairs,
        "maxServerMeta": quota.metadata,
        "maxImageMeta": quota.metadata,
        "maxServerGroups": quota.server_groups,
        "maxServerGroupMembers": quota.group_members,
        "maxPersonality": quotas.FILES,
        "maxPersonalitySize": quotas.FILE_OCTETS,
        "maxSecurityGroups": allowed["security_groups"],
        "maxSecurityGroupRules": allowed["security_group_rules"],
        "maxTotalFloatingIps": allowed["floating_ips"],
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": groups,
        "totalSecurityGroupsUsed": security_groups,
        "totalFloatingIpsUsed": floating,
    }
    return jsonify({"limits": {"rate": [], "absolute": absolute}})
