"""The form of `POST /jobs`, and what is made of it, as OpenAPI describes them."""

from app.core.targets import MAX_TARGETS, PLACE_FIELDS

_TEXT = {"type": "string"}
_TARGETS = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_TARGETS,
    "items": {
        "type": "object",
        "description": "What it does not say is as in the form's fields",
        "required": list(PLACE_FIELDS),
        "additionalProperties": False,
        "properties": {
            "service_id": {"type": "integer"},
            "reference_panel_id": {"type": "integer"},
            "build": _TEXT,
            "phasing": {"type": ["boolean", "string"]},
            "population": _TEXT,
            "options": {"type": "object"},
            "name": {**_TEXT, "description": "Of this job; absent: the batch's"},
        },
    },
}
MADE = {
    "oneOf": [{"$ref": "#/components/schemas/JobOut"}, {"$ref": "#/components/schemas/BatchOut"}]
}
FORM = {
    "type": "object",
    "anyOf": [{"required": ["service_id", "reference_panel_id"]}, {"required": ["targets"]}],
    "properties": {
        "name": {**_TEXT, "description": "Absent: the first file's name"},
        "description": _TEXT,
        "service_id": {"type": "integer"},
        "reference_panel_id": {"type": "integer"},
        "input_format": {**_TEXT, "enum": ["vcf"]},
        "build": {**_TEXT, "description": "Of the input: hg19 or hg38 (the default)"},
        "phasing": {**_TEXT, "description": "true (the default), false, or the name of an engine"},
        "population": {**_TEXT, "description": "Absent: mixed, else all, else off"},
        "options": {**_TEXT, "description": "A JSON object of what else the service's form has"},
        "targets": {
            **_TEXT,
            "contentMediaType": "application/json",
            "contentSchema": _TARGETS,
            "description": "Instead of service_id and reference_panel_id: a JSON list, a job of a batch for each item",
        },
        "input_file": {
            "type": "array",
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
            "description": "bgzipped VCF, one file for each chromosome",
        },
        "input_file_id": {"type": "array", "items": {"type": "integer"}},
    },
}
