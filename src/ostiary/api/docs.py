"""The OpenAPI description, and a page of it for people that loads nothing from elsewhere."""

import asyncio
import html
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

import ostiary
from ostiary.api.problems import PROBLEM

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "code{font:13px ui-monospace,monospace}h2{margin-top:2rem;border-bottom:1px solid #ccc}"
    "dt{margin-top:.8rem}dd{margin:0 0 0 1.5rem;color:#444}.m{display:inline-block;width:4.5rem;font-weight:600}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}dd{color:#aaa}h2{border-color:#444}}"
)


def describe(api: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of the control API."""
    if api.openapi_schema is None:
        found = get_openapi(title=api.title, version=ostiary.__version__, routes=api.routes, description=api.description)
        found["components"]["schemas"]["Problem"] = PROBLEM
        found["components"]["schemas"].pop("HTTPValidationError", None)
        found["components"]["schemas"].pop("ValidationError", None)
        api.openapi_schema = found
    return api.openapi_schema


def routes(api: FastAPI) -> APIRouter:
    """Return the routes of the description and the page. They say what exists, not what is registered: no key is asked."""
    found = APIRouter(include_in_schema=False)

    @found.get("/v1/openapi.json")
    async def openapi() -> JSONResponse:
        return JSONResponse(await asyncio.to_thread(describe, api))

    @found.get("/docs")
    async def page() -> HTMLResponse:
        return HTMLResponse(_page(await asyncio.to_thread(describe, api)), headers={"content-security-policy": _POLICY})

    return found


def _page(description: dict[str, Any]) -> str:
    sections: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            sections.setdefault(operation["tags"][0], []).append(_operation(path, method, operation))
    body = "".join(f"<h2>{html.escape(tag)}</h2><dl>{''.join(items)}</dl>" for tag, items in sections.items())
    lead = (
        "Send an operator key as <code>Authorization: Bearer</code>. The machine-readable description is at <code>/v1/openapi.json</code>."
    )
    title = html.escape(description["info"]["title"])
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{title}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body><h1>{title}</h1><p>{lead}</p>{body}</body></html>"


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    said = html.escape(operation.get("description") or operation.get("summary") or "")
    query = [parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"]
    asked = f" <small>query: {html.escape(', '.join(query))}</small>" if query else ""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    body = f" <small>body: {html.escape(content['$ref'].rpartition('/')[2])}</small>" if "$ref" in content else ""
    return f"<dt><span class=m>{method.upper()}</span><code>{html.escape(path)}</code>{asked}{body}</dt><dd>{said}</dd>"
