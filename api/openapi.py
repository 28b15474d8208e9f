"""The API's description: FastAPI's own, and the commands' bodies, which are parsed past FastAPI.

FastAPI validates parsed JSON, where a strict model refuses every date. The commands are validated from the raw text
instead (``api.bodies``), so their schemas are added here; the routes refer to them.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.problems import Problem
from api.webhooks import ScriptMessage
from domain.journey import COMMANDS

_REFERRED: tuple[type[BaseModel], ...] = (*COMMANDS.values(), ScriptMessage, Problem)


def describe(app: FastAPI) -> dict[str, Any]:
    """Describe the API, once. Raises ValueError when two different schemas would share a name."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        _, ours = models_json_schema(
            [(model, "validation") for model in _REFERRED], ref_template="#/components/schemas/{model}"
        )
        for name, schema in ours["$defs"].items():
            if schemas.setdefault(name, schema) != schema:
                raise ValueError(f"two schemas are called {name}: rename one of the models")
        app.openapi_schema = document
    return app.openapi_schema
