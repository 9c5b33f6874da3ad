"""Reading and checking `api_config`: everything that is wrong is said in words for an administrator, with the choices named."""

import re
from collections.abc import Iterable, Mapping

import msgspec
from yarl import URL

from app.adapters.wes import config as shapes
from app.adapters.wes.config import WesConfig
from app.adapters.wes.template import names_in, unknown_names

_FLAT_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_RESERVED_HEADERS = frozenset({"host", "content-length", "content-type", "cookie", "connection"})
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@:/+-]{0,199}")
_SECRETS = frozenset({"token", "api_token", "password", "username", "value", "secret"})
LINKS = frozenset({"input_url", "input_urls", "samplesheet_url", "upload_url"})
"""Placeholders that stand for signed links: they are secrets, and lists show tags to others."""
_MAX_LOST_S = 30 * 86_400.0

_NESTED: Mapping[str, type[msgspec.Struct]] = {
    "workflow": shapes.Workflow,
    "maps": shapes.Maps,
    "outputs": shapes.OutputsConfig,
    "auth": shapes.Auth,
    "poll": shapes.Poll,
}


def parse_config(config: Mapping[str, object]) -> WesConfig:
    """Read `api_config`. Raises `ValueError` with words for an administrator."""
    _refuse_unknown(config)
    given = {name: value for name, value in config.items() if value is not None}
    try:
        parsed = msgspec.convert(given, WesConfig)
    except msgspec.ValidationError as error:
        raise ValueError(f"api_config: {error}") from None
    for check in (_check_workflow, _check_templates, _check_panels, _check_outputs, _check_auth):
        check(parsed)
    if not 0 < parsed.poll.lost_after_s <= _MAX_LOST_S:
        raise ValueError("api_config: `poll.lost_after_s` must be above 0 and at most 30 days")
    if parsed.user_agent is not None and not _is_line(parsed.user_agent, 200):
        raise ValueError("api_config: `user_agent` must be a short line of plain characters")
    return parsed


def _refuse_unknown(config: Mapping[str, object]) -> None:
    _known(config, WesConfig, "")
    for name, shape in _NESTED.items():
        _known(config.get(name), shape, name)
    workflow, outputs = config.get("workflow"), config.get("outputs")
    if isinstance(workflow, Mapping):
        for item in _listed(workflow.get("attachments")):
            _known(item, shapes.Attachment, "workflow.attachments[]")
    if isinstance(outputs, Mapping):
        for item in _listed(outputs.get("file_url_map")):
            _known(item, shapes.PathMap, "outputs.file_url_map[]")
    for name, shape in (("panels", shapes.PanelChoice), ("options", shapes.OptionField)):
        table = config.get(name)
        for key, item in table.items() if isinstance(table, Mapping) else ():
            _known(item, shape, f"{name}.{str(key)[:50]}")


def _known(value: object, shape: type[msgspec.Struct], where: str) -> None:
    if not isinstance(value, Mapping):
        return
    known = shape.__struct_fields__
    for name in value:
        if name in known:
            continue
        if name in _SECRETS:
            raise ValueError(
                "api_config: secrets do not belong there: a token, or a user name and password, are stored as a credential"
            )
        place = f"`{where}` has" if where else "there is"
        raise ValueError(
            f"api_config: {place} no key `{str(name)[:50]}`; the keys are: {', '.join(known)}"
        )


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple) else ()


def _check_workflow(config: WesConfig) -> None:
    workflow = config.workflow
    for name in ("url", "type", "type_version", "engine", "engine_version"):
        value = getattr(workflow, name)
        if value is not None and (not _is_line(value, 1000) or " " in value):
            raise ValueError(f"api_config: `workflow.{name}` must be one word")
    if workflow.engine_version is not None and workflow.engine is None:
        raise ValueError("api_config: `workflow.engine_version` needs `workflow.engine`")
    names = [item.name.lower() for item in workflow.attachments]
    if not all(_FLAT_NAME.fullmatch(item.name) for item in workflow.attachments):
        raise ValueError(
            "api_config: the names of `workflow.attachments` may hold letters, digits, `.`, `_`, `-` only"
        )
    if len(set(names)) != len(names):
        raise ValueError("api_config: two of `workflow.attachments` have the same name")


def _check_templates(config: WesConfig) -> None:
    options = frozenset(f"option.{name}" for name in config.options)
    for where, template in (
        ("params", config.params),
        ("tags", config.tags),
        ("workflow.engine_parameters", config.workflow.engine_parameters),
    ):
        unknown = unknown_names(template)
        if unknown:
            raise ValueError(f"api_config: `{where}` has an unknown placeholder: {unknown}")
        used = names_in(template)
        if config.options and (odd := {n for n in used if n.startswith("option.")} - options):
            raise ValueError(
                f"api_config: `{where}` uses {{{min(odd)}}}, and `options` has no such field: "
                f"{', '.join(config.options)}"
            )
        if where == "tags" and used & LINKS:
            raise ValueError(
                "api_config: `tags` must not hold links to files: they are shown in lists"
            )
        if config.input_mode == "attachment" and used & (LINKS - {"upload_url"}):
            raise ValueError(
                f"api_config: `{where}` uses links to the input, which need `input_mode` url or samplesheet-url; "
                "with attachment there are {input_name} and {input_names}"
            )


def _check_panels(config: WesConfig) -> None:
    maps = config.maps
    for where, keys in (
        ("panels", config.panels),
        ("options", config.options),
        ("maps.build", maps.build),
        ("maps.phasing", maps.phasing),
        ("maps.population", maps.population),
    ):
        for key in keys:
            if not _KEY.fullmatch(key):
                raise ValueError(f"api_config: `{where}` has a key that is not a plain short word")
    for key, panel in config.panels.items():
        if panel.name is not None and not _is_line(panel.name, 200):
            raise ValueError(f"api_config: the name of the panel `{key}` must be one short line")
        if not all(_KEY.fullmatch(item) for item in (*panel.populations, *panel.builds)):
            raise ValueError(
                f"api_config: the panel `{key}` has a population or build that is not a plain short word"
            )


def _check_outputs(config: WesConfig) -> None:
    outputs = config.outputs
    if not 1 <= outputs.max_files <= 20_000:
        raise ValueError("api_config: `outputs.max_files` must be between 1 and 20000")
    for rule in outputs.file_url_map:
        target = _url(rule.replace.replace("{run_id}", "run"))
        if target is None or target.scheme not in {"http", "https", "drs"} or not target.host:
            raise ValueError(
                "api_config: `outputs.file_url_map[].replace` must be an address that begins with https://, http:// or drs://"
            )
        if target.scheme == "http" and not config.allow_insecure:
            raise ValueError(
                "api_config: `outputs.file_url_map` has a plain http address, which needs `allow_insecure` of the service"
            )
        if target.raw_user is not None or target.raw_password is not None:
            raise ValueError("api_config: `outputs.file_url_map` must not hold user names")
        for text in (rule.prefix, rule.replace):
            if names_in(text.replace("{run_id}", "")):
                raise ValueError("api_config: `outputs.file_url_map` knows {run_id} only")


def _check_auth(config: WesConfig) -> None:
    auth = config.auth
    if auth is None:
        return
    if auth.kind == "header" and (
        not _HEADER.fullmatch(auth.name or "") or (auth.name or "").lower() in _RESERVED_HEADERS
    ):
        raise ValueError("api_config: `auth` of the kind header needs the `name` of a header")
    if auth.kind != "header" and auth.name is not None:
        raise ValueError("api_config: `auth.name` is for the kind header")
    if auth.token_url is None:
        return
    if auth.kind != "password":
        raise ValueError("api_config: `auth.token_url` is for the kind password")
    target = _url(auth.token_url)
    if target is None or (
        target.absolute and (target.scheme not in {"http", "https"} or not target.host)
    ):
        raise ValueError(
            "api_config: `auth.token_url` must be a path below the base URL or a whole address"
        )


def _url(text: str) -> URL | None:
    try:
        return URL(text)
    except ValueError:
        return None


def _is_line(text: str, limit: int) -> bool:
    return bool(text.strip()) and len(text) <= limit and text.isprintable()
