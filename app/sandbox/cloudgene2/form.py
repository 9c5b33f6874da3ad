"""The application: ``imputationserver@1.7.3``, with the words of its ``minimac4.yaml``."""

from typing import Any

from app.sandbox.cloudgene.form import APP_NAME, CHECKBOXES, INPUTS, describe_app
from app.sandbox.panels import Panel

APP_ID = "imputationserver"
APP_VERSION = "1.7.3"
_WORDS = {"phasing": {"eagle", "no_phasing"}, "mode": {"imputation", "qconly"}}

__all__ = ["APP_ID", "APP_NAME", "APP_VERSION", "CHECKBOXES", "INPUTS"]


def is_app(app: str) -> bool:
    """Whether ``app`` names the application, with its version or without."""
    return app in {APP_ID, f"{APP_ID}@{APP_VERSION}"}


def describe(panels: tuple[Panel, ...]) -> dict[str, Any]:
    """The answer of ``/api/v2/server/apps/{app}``: neither Beagle nor terms, and another word for the QC alone."""
    described = describe_app(panels) | {"id": APP_ID, "version": APP_VERSION}
    params = [
        dict(param) for param in described["params"] if param["id"] not in {"check1", "check2"}
    ]
    for param in params:
        if param["id"] in _WORDS:
            renamed = [
                {**value, "key": value["key"].replace("qc_only", "qconly")}
                for value in param["values"]
            ]
            param["values"] = [v for v in renamed if v["key"] in _WORDS[param["id"]]]
    return described | {"params": params}
