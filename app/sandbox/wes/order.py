"""What may be sent to ``POST /runs``, and what it comes to as a job. Pure rules, all refusals are 400."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec
from yarl import URL

from app.sandbox.config import SandboxConfig
from app.sandbox.jobs.model import WesRequest
from app.sandbox.wes.errors import WesError
from app.sandbox.wes.service_info import ENGINE, ENGINE_VERSION, TYPE_VERSION, WORKFLOW_TYPE

ATTACHMENT = "workflow_attachment"
_REQUIRED = ("workflow_type", "workflow_type_version", "workflow_url")
_OBJECTS = ("workflow_params", "workflow_engine_parameters", "tags")
_FIELDS = frozenset({*_REQUIRED, *_OBJECTS, "workflow_engine", "workflow_engine_version"})
# The flat interface of the workflow, and the inputs of the engine that its parameters become.
_NEEDED = ("input", "panel")
_ENGINE_INPUTS = {
    "panel": "refpanel",
    "build": "build",
    "phasing": "phasing",
    "population": "population",
}
_PARAMS = frozenset({*_NEEDED, *_ENGINE_INPUTS, "job_id", "upload_url"})
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_JOB_TAG = "platform_job_id"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A request that may be run. ``attached``: which attachments are input."""

    name: str
    inputs: dict[str, str]
    attached: frozenset[str]
    wes: WesRequest


def read_order(
    texts: Sequence[tuple[str, str]],
    files: Sequence[tuple[str, str]],
    config: SandboxConfig,
    *,
    keep_tags: bool = True,
) -> Order:
    """Check the fields and the names of the files.

    Raises:
        WesError: 400, with what is wrong.
    """
    fields = _single(texts)
    names = _attachments(files)
    for field in _REQUIRED:
        if not fields.get(field):
            raise WesError(400, f"The field {field} is required.")
    _check_workflow(fields, config)
    objects = {field: _strings(field, fields.get(field, "{}")) for field in _OBJECTS}
    params, tags = objects["workflow_params"], objects["tags"]
    _check_params(params)
    urls, attached = _split_input(params["input"], names, config)
    push_url = params.get("upload_url", "")
    if push_url:
        check_link(push_url, config)
    request = {
        **{field: fields[field] for field in fields if field not in _OBJECTS},
        **objects,
        "tags": tags if keep_tags else {},
    }
    return Order(
        name=params.get("job_id") or tags.get(_JOB_TAG, ""),
        inputs={_ENGINE_INPUTS[k]: v for k, v in params.items() if k in _ENGINE_INPUTS},
        attached=frozenset(attached),
        wes=WesRequest(
            request=request, tags=tags if keep_tags else {}, urls=urls, push_url=push_url
        ),
    )


def check_link(link: str, config: SandboxConfig) -> URL:
    """The link, if it is one that the server follows. Raises ``WesError``: 400."""
    try:
        url = URL(link)
    except ValueError:
        raise WesError(400, "A link in workflow_params cannot be read.") from None
    if url.scheme not in {"http", "https"} or url.host not in config.link_hosts or url.user:
        raise WesError(400, f"The server does not follow links to {url.host or 'nowhere'}.")
    return url


def file_name(link: str) -> str:
    """The name that a link's file gets: its last segment, without the query."""
    return unquote(URL(link).raw_path.rpartition("/")[2])


def _single(texts: Sequence[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for field, value in texts:
        if field not in _FIELDS:
            raise WesError(400, f"Unknown field {field[:100]}.")
        if field in fields:
            raise WesError(400, f"The field {field} was sent twice.")
        fields[field] = value
    return fields


def _attachments(files: Sequence[tuple[str, str]]) -> frozenset[str]:
    names = [name for _, name in files]
    if any(field != ATTACHMENT for field, _ in files):
        raise WesError(400, f"Files belong into {ATTACHMENT}.")
    if any(_SAFE_NAME.fullmatch(name) is None for name in names):
        raise WesError(400, "Names of attachments may have letters, digits, dots, _ and -.")
    if len(set(names)) < len(names):
        raise WesError(400, "Two attachments have the same name.")
    return frozenset(names)


def _check_workflow(fields: Mapping[str, str], config: SandboxConfig) -> None:
    offered = {
        "workflow_type": WORKFLOW_TYPE,
        "workflow_type_version": TYPE_VERSION,
        "workflow_engine": ENGINE,
        "workflow_engine_version": ENGINE_VERSION,
    }
    for field, value in offered.items():
        if fields.get(field) not in {None, value}:
            raise WesError(400, f"Invalid {field}, please select from: {value}")
    if "workflow_engine_version" in fields and "workflow_engine" not in fields:
        raise WesError(400, "workflow_engine_version needs workflow_engine.")
    if fields["workflow_url"] not in config.workflows:
        known = ", ".join(config.workflows)
        raise WesError(400, f"Invalid workflow_url, please select from: {known}")


def _strings(field: str, text: str) -> dict[str, str]:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise WesError(400, f"The field {field} is not JSON.") from None
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise WesError(400, f"The field {field} must be a JSON object with strings as values.")
    return value


def _check_params(params: Mapping[str, str]) -> None:
    unknown = sorted(set(params) - _PARAMS)
    if unknown:
        raise WesError(400, f"Unknown workflow_params: {', '.join(unknown)[:200]}")
    for name in _NEEDED:
        if not params.get(name, "").strip():
            raise WesError(400, f"workflow_params needs {name}.")


def _split_input(
    text: str, names: frozenset[str], config: SandboxConfig
) -> tuple[list[str], list[str]]:
    """The links and the attachments of the input, which must not share a name."""
    urls: list[str] = []
    attached: list[str] = []
    for item in text.split():
        if "://" in item:
            check_link(item, config)
            urls.append(item)
        elif item in names:
            attached.append(item)
        else:
            raise WesError(400, f"The input {item[:100]} is neither a link nor an attachment.")
    stored = [*attached, *map(file_name, urls)]
    if any(_SAFE_NAME.fullmatch(name) is None for name in stored):
        raise WesError(400, "Names of input files may have letters, digits, dots, _ and -.")
    if len(set(stored)) < len(stored):
        raise WesError(400, "Two input files have the same name.")
    return urls, attached
