"""Which server answers, told from `/service-info`, and what does not fit the configuration."""

from typing import Any

import pytest

from app.adapters.wes.describing import description_of
from app.adapters.wes.info import detect, is_service_info, read_info, spelt
from app.adapters.wes.parsing import parse_config
from tests.fakes.wes import FakeWes
from tests.fakes.wes_starter_kit import FakeStarterKit
from tests.fakes.wes_weskit import FakeWeskit

NFL = {"workflow_type_versions": {"NFL": {"workflow_type_version": ["22.10.0"]}}}


@pytest.mark.parametrize(
    ("said", "dialect"),
    [
        (FakeWes().info, "sapporo"),
        (FakeStarterKit().info, "starter-kit"),
        (FakeWeskit().info, "weskit"),
        ({"workflow_engine_versions": {"NATIVE": "1"}}, "starter-kit"),
        ({"workflow_engine_versions": {"slurm": "1"}}, "starter-kit"),
        ({"workflow_type_versions": {"NEXTFLOW": ["21.04.0"]}}, "starter-kit"),
        ({**NFL, "default_workflow_engine_parameters": {"NFL": {"22.10.0": []}, "NFL|22.10.0|trace": "true"}}, "weskit"),
        ({**NFL, "default_workflow_engine_parameters": {"NFL": [{"name": "NFL|22.10.0|trace"}]}}, "weskit"),
        ({"workflow_engine_versions": {"toil": "9.6.0"}}, "toil"),
        ({"workflow_engine_versions": {"toil": {"workflow_engine_version": ["9.6.0"]}}}, "toil"),
        ({"workflow_type_versions": {"gx_workflow_ga": {"workflow_type_version": ["1"]}}}, "galaxy"),
        ({"workflow_engine_versions": {"cwl-runner": "1"}}, "wes-service"),
        (NFL, "generic"),
        ({"workflow_type_versions": None, "supported_wes_versions": "1", "system_state_counts": [1]}, "generic"),
        ({"workflow_type_versions": {"CWL": {"workflow_type_version": "v1.2"}}, "name": 7, "id": [], "type": "x"}, "generic"),
    ],
)  # fmt: skip
def test_detect_when_a_server_speaks_then_its_kind(said: dict[str, Any], dialect: str) -> None:
    assert is_service_info(said)
    assert detect(read_info(said)) == dialect


def test_read_when_shapes_differ_then_the_same_is_read() -> None:
    for value in (["v1.2"], "v1.2", {"workflow_type_version": ["v1.2"]}):
        assert read_info({"workflow_type_versions": {"CWL": value}}).types == {"CWL": ("v1.2",)}
    assert read_info(FakeWes().info).waiting == 3
    assert read_info({"system_state_counts": {"QUEUED": "x"}}).waiting is None
    assert not is_service_info({"status": "ok"})
    assert not is_service_info([])


def test_spelt_when_case_differs_then_the_servers_spelling() -> None:
    assert spelt("cwl", ("NFL", "CWL")) == "CWL"
    assert spelt("CWL", ("cwl", "CWL")) == "CWL"
    assert spelt("wdl", ("CWL",)) is None


@pytest.mark.parametrize(
    ("server", "config", "said"),
    [
        (FakeWeskit(), {"dialect": "starter-kit"}, "configured dialect is starter-kit, and the server answers as weskit"),
        (FakeWeskit(), {"workflow": {"type": "NEXTFLOW"}}, "does not offer the workflow type NEXTFLOW. It offers: NFL 22.10.0, SMK"),
        (FakeWeskit(), {"workflow": {"type": "nfl", "type_version": "21"}}, "does not offer NFL 21. It offers: 22.10.0"),
        (FakeWeskit(), {"workflow": {"engine": "nextflow"}}, "refuses `workflow.engine`"),
        (FakeWeskit(), {"params": {"n": 3, "s": "{build}"}}, "set `params_as_strings` for: n"),
        (FakeWes(), {}, "needs `workflow.engine`"),
        (FakeWes(), {"workflow": {"engine": "toil"}}, "does not name the engine toil"),
        (FakeStarterKit(), {"input_mode": "attachment"}, "drops files"),
        (FakeStarterKit(), {"params": {"a": "{input_urls}"}}, "use a sample sheet"),
        (FakeStarterKit(), {"params": {"a": ["{input_url}"]}}, "takes no lists or objects"),
        (FakeStarterKit(), {"params": {"a": "x|{build}"}}, "special characters"),
        (FakeStarterKit(), {}, "a person has to decide"),
        (FakeWes(), {"params": {"a": "{build}"}}, "No parameter names the input"),
        (FakeWes(), {}, "before `workflow` has: url, type, type_version"),
        (FakeWes(), {}, "No panels are configured"),
    ],
)  # fmt: skip
def test_describe_when_the_configuration_does_not_fit_then_a_warning(
    server: FakeWes | FakeWeskit | FakeStarterKit, config: dict[str, object], said: str
) -> None:
    warnings = description_of(parse_config(config), read_info(server.info)).warnings
    assert any(said in text for text in warnings), warnings


def test_describe_when_all_fits_then_what_is_offered_and_no_warning() -> None:
    config = parse_config(
        {
            "workflow": {"url": "w.cwl", "type": "cwl", "type_version": "v1.2", "engine": "cwltool"},
            "params": {"a": "{input_url}", "r2": "{option.r2}"},
            "maps": {"build": {"hg38": "b38"}, "phasing": {"none": "no", "eagle": "eagle"}},
            "panels": {"p": {"value": 1, "name": "Panel P", "populations": ["afr"], "builds": ["hg19"]}},
            "options": {"r2": {"choices": {"0": "off", "0.3": "0.3"}, "default": "0"}},
        }
    )  # fmt: skip
    described = description_of(config, read_info(FakeWes().info))
    assert described.warnings == ()
    assert described.dialect == "sapporo"
    assert described.builds == ("hg38",)
    assert described.phasings == ("none", "eagle")
    assert described.default_phasing == "eagle"
    (panel,) = described.panels
    assert (panel.key, panel.name, panel.builds) == ("p", "Panel P", ("hg19",))
    (option,) = described.options
    assert (option.id, option.kind, option.default) == ("r2", "choice", "0")
