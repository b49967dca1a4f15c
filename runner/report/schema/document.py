"""The schema as a JSON Schema document, for programs that are not ours."""

import json

from pydantic.json_schema import GenerateJsonSchema

from runner.report.schema.report import SCHEMA_VERSION, Report


def json_schema() -> str:
    """Return the JSON Schema (draft 2020-12) of ``report.json``, as ``docs/report.schema.json`` holds it."""
    head = {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": f"joulebatch report, version {SCHEMA_VERSION}",
        "$comment": "Generated from runner/report/schema; docs/reports.md says what may change within a version.",
    }
    return json.dumps({**head, **Report.model_json_schema(mode="validation"), **head}, indent=1) + "\n"
