"""The application the server offers: its id, and its form as ``GET /api/v2/server/apps/{app}`` shows it.

Inputs: imputationserver2 2.0.12 ``cloudgene.yaml``; shape: cloudgene3 ``WdlParameterInputResponse`` and
``PropertyResponse``.
"""

from typing import Any

from app.sandbox.engine.pipeline import PIPELINE_VERSION
from app.sandbox.panels import Panel

APP_ID = "imputationserver2"
APP_VERSION = PIPELINE_VERSION
APP_NAME = "Genotype Imputation"

# Inputs that take any value for "on"; the last two are terms to agree to.
CHECKBOXES = frozenset({"aesEncryption", "meta", "check1", "check2"})
INPUTS = CHECKBOXES | {
    "refpanel",
    "files",
    "build",
    "r2Filter",
    "phasing",
    "population",
    "mode",
    "myseparator",
    "password",  # accepted, but invisible in the form
}

_BUILDS = {"hg19": "GRCh37/hg19", "hg38": "GRCh38/hg38"}
_R2 = {"0": "off", "0.001": "0.001", "0.1": "0.1", "0.2": "0.2", "0.3": "0.3"}
_PHASING = {
    "eagle": "Eagle v2.4 (phased output)",
    "beagle": "Beagle 5.4",
    "no_phasing": "No phasing",
}
_MODES = {"qc_only": "Quality Control Only", "imputation": "Quality Control & Imputation"}
_ON_OFF = {"true": "true", "false": "false"}


def is_app(app: str) -> bool:
    """Whether ``app`` names the application; the version may be left out (``ApplicationRepository.getById``)."""
    return app in {APP_ID, f"{APP_ID}@{APP_VERSION}"}


def describe_app(panels: tuple[Panel, ...]) -> dict[str, Any]:
    """The whole answer of ``/api/v2/server/apps/{app}``."""
    return {
        "id": APP_ID,
        "name": APP_NAME,
        "version": APP_VERSION,
        "description": "Sandbox of the imputation pipeline using <b>SHAPEIT4</b> and <b>Minimac4</b>. "
        "If your input data is <b>GRCh37/hg19</b> please ensure chromosomes are encoded without prefix.",
        "author": None,
        "website": "https://imputationserver.readthedocs.io",
        "logo": None,
        "submitButton": "Start Imputation",
        "s3Workspace": False,
        "footer": None,
        "params": _params(panels),
    }


def _params(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    return [
        _param(
            "refpanel",
            "app_list",
            "Reference Panel (in this sandbox all hold the same 300 samples of the 1000 Genomes Project)",
            value="",
            values=[_property(key=p.key, value=p.title) for p in panels],
        ),
        _param("files", "local_folder", "Input Files (VCF)", value="", source="upload"),
        _param("build", "list", "Array Build", value="hg19", values=_list(_BUILDS)),
        _param("r2Filter", "list", "rsq Filter", value="0", values=_list(_R2)),
        _param("phasing", "list", "Phasing Engine", value="eagle", values=_list(_PHASING)),
        _param(
            "population",
            "binded_list",
            "Allele Frequency Check",
            bind="refpanel",
            values=[
                _property(
                    key=p.key,
                    label=p.title,
                    values=None if p.populations is None else _list(p.populations),
                )
                for p in panels
            ],
        ),
        _param("mode", "list", "Mode", value="imputation", values=_list(_MODES)),
        _param("aesEncryption", "checkbox", "AES 256 encryption", False, _list(_ON_OFF)),
        _param("meta", "checkbox", "Generate Meta-imputation file", False, _list(_ON_OFF)),
        {"id": "myseparator", "type": "separator", "visible": True, "required": False},
        _param(
            "check1",
            "terms_checkbox",
            "I will not attempt to re-identify or contact research participants.",
        ),
        _param(
            "check2",
            "terms_checkbox",
            "I will report any inadvertent data release, security breach or other data management "
            "incident of which I become aware.",
        ),
    ]


def _param(
    name: str,
    kind: str,
    description: str,
    value: str | bool | None = None,
    values: list[dict[str, Any]] | None = None,
    **more: str,
) -> dict[str, Any]:
    """An input; as on the wire, members without a value are left out."""
    param: dict[str, Any] = {
        "id": name,
        "description": description,
        "type": kind,
        "visible": True,
        "required": kind != "checkbox",
        "adminOnly": False,
        **more,
    }
    if value is not None:
        param["value"] = str(value).lower() if isinstance(value, bool) else value
    if values is not None:
        param["values"] = values
    return param


def _property(
    *,
    key: str,
    value: str | None = None,
    label: str | None = None,
    values: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    return {"key": key, "value": value, "label": label, "values": values, "enabled": False}


def _list(values: dict[str, str]) -> list[dict[str, Any]]:
    """The items of a list, which the server sorts by key."""
    return [_property(key=key, value=values[key]) for key in sorted(values)]
