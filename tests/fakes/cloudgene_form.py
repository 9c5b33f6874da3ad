"""The form of imputationserver2 as a Cloudgene 3 lists it, with the panels that it offers."""

from typing import Any

APP = "imputationserver2@2.0.12"


PANEL = "apps@h3africa-v6hc-s@1.0.0"


BARE_PANEL = "apps@no-populations@1.0.0"


def default_params() -> list[dict[str, Any]]:
    """The form of imputationserver2, warts included (contract of cloudgene3 `WdlParameterInputResponse`)."""
    shown = {"required": True, "visible": True, "adminOnly": False}
    return [
        {"id": "text1", "type": "info", "value": None, **shown},
        {
            "id": "refpanel",
            "type": "app_list",
            "description": 'Reference Panel (<a href="x">Details</a>)',
            "value": "",
            "values": [
                {
                    "key": PANEL,
                    "value": "H3Africa <b>v6</b> (GRCh38/hg38)",
                    "label": None,
                    "enabled": False,
                },
                {"key": BARE_PANEL, "value": "Bare (GRCh37/hg19)"},
            ],
            **shown,
        },
        {"id": "files", "type": "local_folder", "source": "upload", "value": "", **shown},
        {
            "id": "build",
            "type": "list",
            "value": "hg19",
            "values": [
                {"key": "hg19", "value": "GRCh37/hg19"},
                {"key": "hg38", "value": "GRCh38/hg38"},
            ],
        },
        {
            "id": "r2Filter",
            "type": "list",
            "description": "rsq Filter",
            "value": "0",
            "values": [{"key": "0", "value": "off"}, {"key": "0.3", "value": "0.3"}],
        },
        {
            "id": "phasing",
            "type": "list",
            "value": "eagle",
            "values": [
                {"key": "beagle", "value": "Beagle"},
                {"key": "eagle", "value": "Eagle v2.4"},
                {"key": "no_phasing", "value": "No phasing"},
            ],
        },
        {
            "id": "population",
            "type": "binded_list",
            "bind": "refpanel",
            "values": [
                {
                    "key": PANEL,
                    "label": "H3Africa v6",
                    "values": [
                        {"key": "afr", "value": "AFR"},
                        {"key": "AA", "value": "AA"},
                        {"key": "off", "value": "Off"},
                    ],
                },
                {"key": BARE_PANEL, "label": "Bare", "values": None},
            ],
        },
        {
            "id": "mode",
            "type": "list",
            "value": "imputation",
            "values": [{"key": "imputation", "value": "x"}, {"key": "qc_only", "value": "y"}],
        },
        {
            "id": "aesEncryption",
            "type": "checkbox",
            "value": "false",
            "values": [{"key": "false", "value": "false"}, {"key": "true", "value": "true"}],
        },
        {"id": "meta", "type": "checkbox", "description": "Meta files", "value": "false"},
        {"id": "check1", "type": "terms_checkbox", "description": "I will not …"},
    ]
