"""The API's description as one page that needs nothing from anywhere: no script, no CDN, no network.

The usual page loads a program from a public CDN into the browser of somebody who holds a clinician's token.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from domain.values import Json

router = APIRouter()

_STYLE: Final = """
:root{color-scheme:light dark} body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
details{border-top:1px solid #8884;padding:.4rem 0} summary{cursor:pointer}
code,pre{font:14px/1.4 ui-monospace,monospace}
pre{overflow-x:auto;background:#8881;padding:.8rem;border-radius:.3rem} b{display:inline-block;min-width:4rem}
td{padding:.1rem 1rem .1rem 0;vertical-align:top}
"""
_HEADERS: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_REFERENCE = re.compile(r"&quot;#/components/schemas/(\w+)&quot;")


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Show every route with its parameters, body and answers."""
    return HTMLResponse(render(request.app.openapi()), headers=_HEADERS)


def render(document: Json) -> str:
    """Write the page for an OpenAPI document. References become links within it."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, entry in methods.items():
            groups[entry["tags"][0]].append(_operation(method, path, entry))
    sections = "".join(f"<h2>{escape(tag.capitalize())}</h2>{''.join(found)}" for tag, found in groups.items())
    schemas = "".join(_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items()))
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>{title}</h1>'
        f"<p>{escape(document['info']['description'])}</p>"
        f'<p>For programs: <a href="/openapi.json">/openapi.json</a></p>{sections}<h2>Schemas</h2>{schemas}'
        "</body></html>"
    )


def _operation(method: str, path: str, entry: Json) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code><td>{escape(parameter['in'])}"
        f"<td>{'required' if parameter['required'] else 'optional'}<td>{escape(parameter.get('description', ''))}"
        for parameter in entry.get("parameters", ())
    )
    body = "".join(_json(content["schema"]) for content in entry.get("requestBody", {}).get("content", {}).values())
    answers = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(answer['description'])}"
        for status, answer in sorted(entry["responses"].items())
    )
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> {escape(entry['summary'])}</summary>"
        f"<p>{escape(entry.get('description', ''))}</p><table>{parameters}</table>{body}<table>{answers}</table>"
        "</details>"
    )


def _schema(name: str, schema: Json) -> str:
    return f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>'


def _json(value: Any) -> str:
    text = escape(json.dumps(value, indent=2, ensure_ascii=False))
    return f"<pre>{_REFERENCE.sub(_link, text)}</pre>"


def _link(found: re.Match[str]) -> str:
    return f'<a href="#{found.group(1)}">{found.group(1)}</a>'
