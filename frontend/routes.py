"""The API's map: every route, and who may call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frontend import (
    appcred,
    console,
    discovery,
    flavoradmin,
    flavors,
    health,
    identity,
    images,
    identity_read,
    keypairs,
    limits,
    migration_view,
    networks,
    newserver,
    quotas,
    securitygroups,
    serveract,
    servergroups,
    servers,
)

# Who may call a route.
OPEN = "everybody"
USER = "whoever has a token"
READER = "whoever has a token for a project"
MEMBER = "whoever may change things in the token's project"
ADMIN = "whoever is an admin in the token's project"

WRITERS = frozenset(("member", "admin"))

COMPUTE = "/compute/v2.1"
IDENTITY = "/identity/v3"
IMAGE = "/image/v2"
NETWORK = "/network/v2.0"

ROUTES: tuple[tuple[str, str, Callable[..., Any], str], ...] = (
    ("GET", "/health", health.show, OPEN),
    ("GET", "/identity", discovery.identity_versions, OPEN),
    ("GET", IDENTITY, discovery.identity_version, OPEN),
    ("GET", "/compute", discovery.compute_versions, OPEN),
    ("GET", "/compute/v2", discovery.compute_2_0, OPEN),
    ("GET", COMPUTE, discovery.compute_2_1, OPEN),
    ("GET", "/image", discovery.image_versions, OPEN),
    ("GET", "/network", discovery.network_versions, OPEN),
    ("GET", NETWORK, discovery.network_resources, OPEN),
    ("POST", f"{IDENTITY}/auth/tokens", identity.issue_token, OPEN),
    ("GET", f"{IDENTITY}/auth/tokens", identity.show_token, USER),  # and HEAD, as with every GET
    ("DELETE", f"{IDENTITY}/auth/tokens", identity.revoke_token, USER),
    ("GET", f"{IDENTITY}/auth/catalog", identity_read.show_catalog, READER),
    ("GET", f"{IDENTITY}/auth/projects", identity_read.list_own_projects, USER),
    ("GET", f"{IDENTITY}/projects", identity_read.list_projects, USER),
    ("GET", f"{IDENTITY}/projects/<project_id>", identity_read.show_project, USER),
    ("GET", f"{IDENTITY}/users", identity_read.list_users, ADMIN),
    ("GET", f"{IDENTITY}/users/<user_id>", identity_read.show_user, USER),
    ("GET", f"{IDENTITY}/users/<user_id>/projects", identity_read.list_user_projects, USER),
    ("GET", f"{IDENTITY}/users/<user_id>/application_credentials", appcred.list_credentials, USER),
    ("POST", f"{IDENTITY}/users/<user_id>/application_credentials", appcred.create, READER),
    ("GET", f"{IDENTITY}/users/<user_id>/application_credentials/<credential_id>", appcred.show, USER),
    ("DELETE", f"{IDENTITY}/users/<user_id>/application_credentials/<credential_id>", appcred.delete, USER),
    ("GET", f"{IDENTITY}/roles", identity_read.list_roles, USER),
    ("GET", f"{IDENTITY}/roles/<role_id>", identity_read.show_role, USER),
    ("GET", f"{IDENTITY}/services", identity_read.list_services, USER),
    ("GET", f"{IDENTITY}/domains", identity_read.list_domains, USER),
    ("GET", f"{IDENTITY}/domains/<domain_id>", identity_read.show_domain, USER),
    ("GET", f"{COMPUTE}/flavors", flavors.list_short, READER),
    ("GET", f"{COMPUTE}/flavors/detail", flavors.list_detail, READER),
    ("GET", f"{COMPUTE}/flavors/<flavor_id>", flavors.show, READER),
    ("GET", f"{COMPUTE}/flavors/<flavor_id>/os-extra_specs", flavors.extra_specs, READER),
    ("POST", f"{COMPUTE}/flavors", flavoradmin.create, ADMIN),
    ("DELETE", f"{COMPUTE}/flavors/<flavor_id>", flavoradmin.remove, ADMIN),
    ("POST", f"{COMPUTE}/flavors/<flavor_id>/action", flavoradmin.act, ADMIN),
    ("POST", f"{COMPUTE}/flavors/<flavor_id>/os-extra_specs", flavoradmin.add_extra_specs, ADMIN),
    ("GET", f"{COMPUTE}/flavors/<flavor_id>/os-extra_specs/<spec>", flavors.extra_spec, READER),
    ("PUT", f"{COMPUTE}/flavors/<flavor_id>/os-extra_specs/<spec>", flavoradmin.set_extra_spec, ADMIN),
    ("DELETE", f"{COMPUTE}/flavors/<flavor_id>/os-extra_specs/<spec>", flavoradmin.remove_extra_spec, ADMIN),
    ("GET", f"{COMPUTE}/flavors/<flavor_id>/os-flavor-access", flavoradmin.list_access, ADMIN),
    ("GET", f"{COMPUTE}/os-keypairs", keypairs.list_all, READER),
    ("POST", f"{COMPUTE}/os-keypairs", keypairs.create, MEMBER),
    ("GET", f"{COMPUTE}/os-keypairs/<keypair_name>", keypairs.show, READER),
    ("DELETE", f"{COMPUTE}/os-keypairs/<keypair_name>", keypairs.remove, MEMBER),
    ("GET", f"{COMPUTE}/limits", limits.show, READER),
    ("GET", f"{COMPUTE}/os-quota-sets/<project_id>", quotas.show, READER),
    ("GET", f"{COMPUTE}/os-quota-sets/<project_id>/detail", quotas.show_detail, READER),
    ("GET", f"{COMPUTE}/os-quota-sets/<project_id>/defaults", quotas.show_defaults, READER),
    ("PUT", f"{COMPUTE}/os-quota-sets/<project_id>", quotas.change, ADMIN),
    ("DELETE", f"{COMPUTE}/os-quota-sets/<project_id>", quotas.reset, ADMIN),
    ("GET", f"{COMPUTE}/os-server-groups", servergroups.list_all, READER),
    ("POST", f"{COMPUTE}/os-server-groups", servergroups.create, MEMBER),
    ("GET", f"{COMPUTE}/os-server-groups/<server_group_id>", servergroups.show, READER),
    ("DELETE", f"{COMPUTE}/os-server-groups/<server_group_id>", servergroups.remove, MEMBER),
    ("GET", f"{COMPUTE}/os-security-groups", securitygroups.list_compute, READER),
    ("POST", f"{COMPUTE}/os-security-groups", securitygroups.refuse, MEMBER),
    ("GET", f"{COMPUTE}/os-security-groups/<group_id>", securitygroups.show_compute, READER),
    ("PUT", f"{COMPUTE}/os-security-groups/<group_id>", securitygroups.refuse_group, MEMBER),
    ("DELETE", f"{COMPUTE}/os-security-groups/<group_id>", securitygroups.refuse_group, MEMBER),
    ("POST", f"{COMPUTE}/os-security-group-rules", securitygroups.refuse, MEMBER),
    ("DELETE", f"{COMPUTE}/os-security-group-rules/<rule_id>", securitygroups.refuse_rule, MEMBER),
    ("GET", f"{COMPUTE}/servers", servers.list_short, READER),
    ("POST", f"{COMPUTE}/servers", newserver.create, MEMBER),
    ("GET", f"{COMPUTE}/servers/detail", servers.list_detail, READER),
    ("GET", f"{COMPUTE}/servers/<server_id>", servers.show, READER),
    ("DELETE", f"{COMPUTE}/servers/<server_id>", servers.delete, MEMBER),
    ("POST", f"{COMPUTE}/servers/<server_id>/action", serveract.act, MEMBER),
    ("POST", f"{COMPUTE}/servers/<server_id>/remote-consoles", console.remote, MEMBER),
    ("GET", f"{COMPUTE}/servers/<server_id>/ips", servers.show_addresses, READER),
    ("GET", f"{COMPUTE}/servers/<server_id>/os-security-groups", servers.list_security_groups, READER),
    ("GET", f"{COMPUTE}/servers/<server_id>/os-volume_attachments", servers.list_volume_attachments, READER),
    ("GET", f"{COMPUTE}/os-migrations", migration_view.list_migrations, ADMIN),
    ("GET", f"{IMAGE}/images", images.list_images, READER),
    ("GET", f"{IMAGE}/images/<image_id>", images.show, READER),
    ("GET", f"{IMAGE}/schemas/images", images.images_schema, READER),
    ("GET", f"{IMAGE}/schemas/image", images.image_schema, READER),
    ("GET", f"{NETWORK}/networks", networks.list_networks, READER),
    ("GET", f"{NETWORK}/networks/<network_id>", networks.show_network, READER),
    ("GET", f"{NETWORK}/subnets", networks.list_subnets, READER),
    ("GET", f"{NETWORK}/subnets/<subnet_id>", networks.show_subnet, READER),
    ("GET", f"{NETWORK}/ports", networks.list_ports, READER),
    ("GET", f"{NETWORK}/ports/<port_id>", networks.show_port, READER),
    ("GET", f"{NETWORK}/security-groups", networks.list_security_groups, READER),
    ("GET", f"{NETWORK}/security-groups/<group_id>", networks.show_security_group, READER),
    ("GET", f"{NETWORK}/security-group-rules", networks.list_security_group_rules, READER),
    ("POST", f"{NETWORK}/security-groups", securitygroups.refuse, MEMBER),
    ("PUT", f"{NETWORK}/security-groups/<group_id>", securitygroups.refuse_group, MEMBER),
    ("DELETE", f"{NETWORK}/security-groups/<group_id>", securitygroups.refuse_group, MEMBER),
    ("GET", f"{NETWORK}/security-group-rules/<rule_id>", networks.show_security_group_rule, READER),
    ("POST", f"{NETWORK}/security-group-rules", securitygroups.refuse, MEMBER),
    ("DELETE", f"{NETWORK}/security-group-rules/<rule_id>", securitygroups.refuse_rule, MEMBER),
    ("GET", f"{NETWORK}/floatingips", networks.list_floating_ips, READER),
    ("GET", f"{NETWORK}/routers", networks.list_routers, READER),
    ("GET", f"{NETWORK}/extensions", networks.list_extensions, READER),
    ("GET", f"{NETWORK}/extensions/<alias>", networks.show_extension, READER),
)

ACCESS = {f"{method} {url}": access for method, url, _, access in ROUTES}
