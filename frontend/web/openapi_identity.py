"""What /openapi.json says of Identity's routes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.web.openapi_said import ANYTHING, FLAG, LONG, NAME, TEXT, Said, listed, optional, thing

_V3 = "/identity/v3"
_USERS = f"{_V3}/users/<user_id>"
_FEDERATION = f"{_V3}/auth/OS-FEDERATION"
_PROVIDER = "identity_providers/<provider>/protocols/<protocol>"
_PAGE = "text/html"

_DOMAIN = thing(id=TEXT, name=TEXT)
_USER = thing(("password",), id=TEXT, name=TEXT, domain=_DOMAIN, password=LONG)
_PROJECT = thing(id=TEXT, name=TEXT, domain=_DOMAIN)
_PROGRAM = thing(("secret",), id=TEXT, name=TEXT, secret=LONG, user=thing(id=TEXT, name=TEXT, domain=_DOMAIN))
_PROOF = thing(
    ("methods",),
    methods=listed({"enum": ["password", "token", "application_credential"]}, 3),
    password=thing(("user",), user=_USER),
    token=thing(("id",), id=LONG),
    application_credential=_PROGRAM,
)
_SCOPE = {"oneOf": [thing(("project",), project=_PROJECT), {"const": "unscoped"}, {"type": "null"}]}
_AUTH = {"type": "object", "properties": {"identity": _PROOF, "scope": _SCOPE}, "required": ["identity"]}
_CREDENTIAL = thing(
    ("name",),
    name=NAME,
    secret=LONG,
    description=LONG,
    roles=optional(listed(thing(id=TEXT, name=TEXT), 10)),
    expires_at=TEXT,
    unrestricted=FLAG,
    access_rules=optional(listed(ANYTHING, 1)),
)
_CREDENTIALS = f"{_USERS}/application_credentials"

SAID: Mapping[str, Said] = {
    "GET /identity": Said("versions", (300,)),
    f"GET {_V3}": Said("version"),
    f"POST {_V3}/auth/tokens": Said("token", (201,), thing(("auth",), auth=_AUTH), refusals=(401, 403, 429)),
    f"GET {_V3}/auth/tokens": Said("token"),
    f"DELETE {_V3}/auth/tokens": Said(status=(204,)),
    f"GET {_V3}/auth/catalog": Said("catalog[]"),
    f"GET {_FEDERATION}/credential": Said(text=_PAGE, refusals=(401, 403)),
    f"POST {_FEDERATION}/credential": Said(text=_PAGE, body=ANYTHING, refusals=(401, 403)),
    f"GET {_FEDERATION}/websso/<protocol>": Said(text=_PAGE, query=("origin",), refusals=(401, 403)),
    f"GET {_FEDERATION}/{_PROVIDER}/websso": Said(text=_PAGE, query=("origin",), refusals=(401, 403)),
    f"GET {_V3}/OS-FEDERATION/{_PROVIDER}/auth": Said("token", (201,), refusals=(401, 403)),
    f"POST {_V3}/OS-FEDERATION/{_PROVIDER}/auth": Said("token", (201,), ANYTHING, refusals=(401, 403)),
    f"GET {_V3}/auth/projects": Said("projects[]", query=("name", "enabled")),
    f"GET {_V3}/projects": Said("projects[]", query=("name", "enabled")),
    f"GET {_V3}/projects/<project_id>": Said("project"),
    f"GET {_V3}/users": Said("users[]", query=("name",)),
    f"GET {_USERS}": Said("user"),
    f"GET {_USERS}/projects": Said("projects[]", query=("name",)),
    f"GET {_CREDENTIALS}": Said("application_credentials[]", query=("name",)),
    f"POST {_CREDENTIALS}": Said("application_credential", (201,), thing(("application_credential",),
                                                                         application_credential=_CREDENTIAL)),
    f"GET {_CREDENTIALS}/<credential_id>": Said("application_credential"),
    f"DELETE {_CREDENTIALS}/<credential_id>": Said(status=(204,)),
    f"GET {_V3}/roles": Said("roles[]", query=("name",)),
    f"GET {_V3}/roles/<role_id>": Said("role"),
    f"GET {_V3}/services": Said("services[]", query=("name", "type")),
    f"GET {_V3}/domains": Said("domains[]", query=("name",)),
    f"GET {_V3}/domains/<domain_id>": Said("domain"),
}  # fmt: skip
