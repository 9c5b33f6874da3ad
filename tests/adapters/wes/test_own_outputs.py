"""Links to results that name the server as it sees itself.

Incident: a sapporo in a container, without a `--base-url`, named its results `http://0.0.0.0:1122/runs/…`.
"""

import pytest

from app.adapters.endpoint import Endpoint
from app.adapters.transport import Transport
from app.adapters.wes.adapter import open_adapter
from app.adapters.wes.config import OutputsConfig, PathMap
from app.adapters.wes.locating import locate
from app.adapters.wes.outputs import Found
from tests.fakes.recording import answer
from tests.fakes.wes import FakeWes, Run

RUN = "541c63e6-5b9f-4103-ae27-5be020308390"
HOME = "https://wes.example.org/api"


def address(location: str, *, own: bool = True, run: str = RUN, **config: object) -> str:
    """Give the address of one output."""
    outputs = OutputsConfig(**config)  # type: ignore[arg-type] # a bag of keyword arguments
    found = [Found("a.vcf.gz", location)]
    located = locate(found, outputs, Endpoint.parse(HOME), run, own_outputs=own)
    return located.outputs[0].address


@pytest.mark.parametrize("root", ["http://0.0.0.0:1122", "http://127.0.0.1:7711/prefix", HOME])
def test_a_link_to_a_result_leads_to_the_base_url_whatever_host_it_names(root: str) -> None:
    link = f"{root}/runs/{RUN}/outputs/local/with%20space%20%26%20%C3%BC%23.info.gz"
    assert address(link) == (
        f"{HOME}/runs/{RUN}/outputs/local/with%20space%20%26%20%C3%BC%23.info.gz"
    )


@pytest.mark.parametrize(
    "link",
    [
        "https://bucket.example.com/a.vcf.gz?Signature=x",
        "http://0.0.0.0:1122/runs/another/outputs/a.vcf.gz",
        f"http://0.0.0.0:1122/runs/{RUN}/outputs/",
        f"http://0.0.0.0:1122/other?next=/runs/{RUN}/outputs/a.vcf.gz",
    ],
)
def test_other_links_stay_as_they_are(link: str) -> None:
    assert address(link) == link


def test_servers_that_hand_out_no_files_themselves_are_taken_at_their_word() -> None:
    link = f"http://0.0.0.0:1122/runs/{RUN}/outputs/a.vcf.gz"
    assert address(link, own=False) == link


def test_a_map_of_the_configuration_comes_first() -> None:
    rule = PathMap(prefix="http://0.0.0.0:1122/", replace="https://files.example.org/")
    link = f"http://0.0.0.0:1122/runs/{RUN}/outputs/a.vcf.gz"
    assert address(link, file_url_map=(rule,)) == (
        f"https://files.example.org/runs/{RUN}/outputs/a.vcf.gz"
    )


@pytest.mark.parametrize("rest", ["../../../token", "a/%2e%2E/%2e./b", "./a"])
def test_a_link_cannot_climb_out_of_the_run(rest: str) -> None:
    link = f"http://0.0.0.0:1122/runs/{RUN}/outputs/{rest}"
    assert address(link) == link


async def test_results_of_a_loud_engine_are_listed(transport: Transport) -> None:
    """Incident: a run whose log is larger than any answer that is read was never collected."""
    async with FakeWes(tokens=set()) as server:
        run = Run(RUN, [], state="COMPLETE", files={"a.vcf.gz": b"vcf"})
        run.run_log["stderr"] = "a line of a loud engine\n" * 800_000
        server.runs[RUN] = run
        peer = open_adapter(transport, server.url, {"allow_insecure": True}, None)
        assert [item.name for item in await peer.outputs(RUN)] == ["a.vcf.gz"]


async def test_a_list_that_makes_no_sense_is_read_from_the_run_instead(
    transport: Transport,
) -> None:
    async with FakeWes(tokens=set()) as server:
        server.runs[RUN] = Run(RUN, [], state="COMPLETE", files={"a.vcf.gz": b"vcf"})
        server.misbehave(answer(200, "[]"), path=f"/runs/{RUN}/outputs")
        peer = open_adapter(transport, server.url, {"allow_insecure": True}, None)
        assert [item.name for item in await peer.outputs(RUN)] == ["a.vcf.gz"]
