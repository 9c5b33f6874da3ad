"""What an administrator may set, and what is refused in which words."""

import pytest

from app.adapters.presets import PRESETS
from app.adapters.wes.parsing import parse_config
from app.core.services import merge_config


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"dialekt": "weskit"}, "no key `dialekt`; the keys are: allow_insecure, dialect"),
        ({"workflow": {"urll": "x"}}, "`workflow` has no key `urll`; the keys are: url, type"),
        ({"workflow": {"attachments": [{"name": "a", "path": "/etc/passwd"}]}}, "no key `path`"),
        ({"panels": {"p": {"value": 1, "vaule": 2}}}, "`panels.p` has no key `vaule`"),
        ({"outputs": {"file_url_map": [{"from": "x"}]}}, r"file_url_map\[\]` has no key `from`"),
        ({"auth": {"kind": "bearer", "token": "x"}}, "secrets do not belong there"),
        ({"auth": {"kind": "password", "password": "x"}}, "secrets do not belong there"),
        ({"api_token": "x"}, "secrets do not belong there"),
        ({"dialect": "slurm"}, "api_config"),
        ({"params": {"a": "{ref_panel}"}}, r"unknown placeholder: \{ref_panel\}. There are: \{input_urls\}"),
        ({"tags": {"a": "{input_url}"}}, "must not hold links"),
        ({"tags": {"a": 1}}, "api_config"),
        ({"params": {"a": "{input_url}"}, "input_mode": "attachment"}, "input_name"),
        ({"params": {"a": "{option.r3}"}, "options": {"r2": {}}}, "no such field: r2"),
        ({"workflow": {"url": "a b"}}, "one word"),
        ({"workflow": {"engine_version": "1"}}, "needs `workflow.engine`"),
        ({"workflow": {"attachments": [{"name": "../x", "content": ""}]}}, "names of"),
        ({"workflow": {"attachments": [{"name": "a", "content": ""}, {"name": "A", "content": ""}]}}, "same name"),
        ({"outputs": {"file_url_map": [{"prefix": "/data", "replace": "file:///data"}]}}, "must be an address"),
        ({"outputs": {"file_url_map": [{"prefix": "/data", "replace": "/mnt/data"}]}}, "must be an address"),
        ({"outputs": {"file_url_map": [{"prefix": "/d", "replace": "https://u:p@x.org/"}]}}, "user names"),
        ({"outputs": {"file_url_map": [{"prefix": "/d", "replace": "https://x.org/{job_id}/"}]}}, "run_id"),
        ({"outputs": {"file_url_map": [{"prefix": "/d", "replace": "http://x.org/"}]}}, "needs `allow_insecure`"),
        ({"outputs": {"max_files": 0}}, "max_files"),
        ({"auth": {"kind": "header"}}, "`name` of a header"),
        ({"auth": {"kind": "header", "name": "Host"}}, "`name` of a header"),
        ({"auth": {"kind": "bearer", "name": "X"}}, "for the kind header"),
        ({"auth": {"kind": "bearer", "token_url": "token"}}, "for the kind password"),
        ({"auth": {"kind": "password", "token_url": "ftp://x.org/t"}}, "token_url"),
        ({"poll": {"lost_after_s": 0}}, "lost_after_s"),
        ({"user_agent": "a\nb"}, "user_agent"),
        ({"panels": {"": {"value": 1}}}, "plain short word"),
        ({"panels": {"p": {}}}, "api_config"),
    ],
)  # fmt: skip
def test_parse_when_something_is_wrong_then_said_in_words(
    config: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        parse_config(config)


def test_parse_when_nothing_is_set_then_a_service_that_cannot_take_jobs_yet() -> None:
    config = parse_config({"auth": None})
    assert config.workflow.url is None
    assert config.dialect == "auto"
    assert config.tags == {"platform_job_id": "{job_id}"}
    assert config.poll.lost_after_s == 900.0


def test_parse_when_everything_is_set_then_read_and_kept_by_the_catalogue() -> None:
    given: dict[str, object] = {
        "dialect": "sapporo",
        "workflow": {
            "url": "main.nf",
            "type": "NFL",
            "type_version": "DSL2",
            "engine": "nextflow",
            "engine_parameters": {"-profile": "docker"},
            "attachments": [{"name": "main.nf", "content": "process x {}"}],
        },
        "params": {"input": "{input_names}", "list": [["{panel.value}", 1, None]]},
        "maps": {"build": {"hg38": "b38"}, "phasing": {"eagle": 1, "none": False}},
        "panels": {"p": {"value": "/p", "populations": {"afr": "Africa"}, "builds": ["hg38"]}},
        "options": {"r2": {"kind": "number", "default": "0.3"}},
        "input_mode": "attachment",
        "outputs": {"file_url_map": [{"prefix": "", "replace": "https://x.org/{run_id}/"}]},
        "auth": {"kind": "password", "token_url": "/token"},
        "poll": {"lost_after_s": 60},
        "user_agent": "fip (admin@x.org)",
    }
    parsed = parse_config(given)
    assert parsed.workflow.engine_parameters == {"-profile": "docker"}
    assert parsed.maps.phasing == {"eagle": 1, "none": False}
    assert merge_config({}, given) == given


@pytest.mark.parametrize("slug", ["ilifu", "ilifu-starter-kit"])
def test_preset_when_stored_then_nothing_in_it_looks_like_a_secret(slug: str) -> None:
    config = PRESETS[slug].api_config
    assert merge_config({}, config) == config
    assert [panel.key for panel in PRESETS[slug].panels] == list(parse_config(config).panels)
