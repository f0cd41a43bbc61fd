"""Pages for people whom the web server has logged in."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, render_template_string

from frontend.web import context

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<style>body { font: 16px sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em }
pre { background: #eee; padding: 1em; overflow: auto } label { display: block; margin: 1em 0 }</style></head><body>
<h1>{{ title }}</h1>
"""
_POST_TOKEN = (
    _HEAD
    + """<form id="token" method="post" action="{{ origin }}"><input type="hidden" name="token" value="{{ token }}">
<button>Continue</button></form>
<script nonce="{{ nonce }}">document.getElementById("token").submit()</script></body></html>
"""
)
_FORM = (
    _HEAD
    + """<p>You are {{ name }}.</p>
{% if projects %}<form method="post"><input type="hidden" name="form" value="{{ mark }}">
<label>Project <select name="project">
{% for row in projects %}<option value="{{ row.id }}">{{ row.name }}</option>{% endfor %}</select></label>
<label>Good for <select name="days">
{% for each in days %}<option{% if each == 90 %} selected{% endif %}>{{ each }}</option>{% endfor %}</select>
days</label>
<button name="what" value="credential">Make an application credential</button>
<button name="what" value="token">Show a token for today</button></form>
{% else %}<p>You are in no project yet. Ask the people who run this cloud.</p>{% endif %}</body></html>
"""
)
_SHOWN = (
    _HEAD
    + """<p>{{ words }} This is shown once: keep it, and keep it to yourself.</p><pre>{{ text }}</pre></body></html>
"""
)


def post_token(origin: str, token: str) -> Response:
    """Posts itself, as Keystone's page of single sign-on does."""
    nonce = base64.b64encode(secrets.token_bytes(16)).decode()
    html = render_template_string(_POST_TOKEN, title="Signed in", origin=origin, token=token, nonce=nonce)
    return _page(html, f"script-src 'nonce-{nonce}'; form-action {origin}")


def form(name: str, projects: Sequence[Mapping[str, Any]], days: Sequence[int], mark: str) -> Response:
    return _page(render_template_string(_FORM, title="Access", name=name, projects=projects, days=days, mark=mark))


def clouds(row: Mapping[str, Any], secret: str) -> Response:
    """A clouds.yaml of a new application credential."""
    text = f"""clouds:
  ganeti:
    auth_type: v3applicationcredential
    auth:
      auth_url: {json.dumps(_auth_url())}
      application_credential_id: {row["id"]}
      application_credential_secret: {json.dumps(secret)}
    region_name: {json.dumps(context.services().settings.front.region)}
"""
    words = "Put this into ~/.config/openstack/clouds.yaml and say: openstack --os-cloud ganeti server list."
    return _page(render_template_string(_SHOWN, title="Application credential", words=words, text=text))


def token(text: str, project_id: str, expires: int) -> Response:
    """A token for one project, in a shell's words."""
    lines = f"export OS_AUTH_TYPE=v3token OS_AUTH_URL={_auth_url()} OS_PROJECT_ID={project_id} OS_TOKEN={text}\n"
    words = f"Good until {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(expires))}."
    return _page(render_template_string(_SHOWN, title="Token", words=words, text=lines))


def _auth_url() -> str:
    return f"{context.base()}/identity/v3"


def _page(html: str, policy: str = "form-action 'self'") -> Response:
    answer = Response(html, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; {policy}"
    )
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
