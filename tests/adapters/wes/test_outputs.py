"""Outputs of every shape that servers give, and of those that they do not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.archives import safe_name
from app.adapters.endpoint import Endpoint
from app.adapters.wes.config import OutputsConfig, PathMap
from app.adapters.wes.locating import address_of, held_at, locate
from app.adapters.wes.outputs import Found, chosen, flatten, role_of

HERE = Endpoint.parse("https://wes.org/ga4gh/wes/v1")
CWL_FILE = {
    "class": "File", "location": "file:///toil/out/imputed.vcf.gz", "basename": "imputed.vcf.gz", "size": 120,
    "checksum": "sha1$d472d63f2a1d8b1c3c25f2c8f0a3b8fb2f1f8ab0",
    "secondaryFiles": [{"class": "File", "location": "file:///toil/out/imputed.vcf.gz.tbi"}],
}  # fmt: skip


def names(outputs: object) -> list[tuple[str, str]]:
    return [(item.name, item.location) for item in flatten(outputs)]


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (None, []),
        ({}, []),
        ("done", []),
        ({"n": 3, "s": "text", "b": True}, []),
        ([{"file_name": "a.vcf", "file_url": "https://x/runs/1/outputs/a.vcf"}], [("a.vcf", "https://x/runs/1/outputs/a.vcf")]),
        ({"out": CWL_FILE}, [("imputed.vcf.gz", "file:///toil/out/imputed.vcf.gz"),
                             ("imputed.vcf.gz.tbi", "file:///toil/out/imputed.vcf.gz.tbi")]),
        ({"out": [[CWL_FILE]]}, [("imputed.vcf.gz", "file:///toil/out/imputed.vcf.gz"),
                                 ("imputed.vcf.gz.tbi", "file:///toil/out/imputed.vcf.gz.tbi")]),
        ({"d": {"class": "Directory", "location": "file:///d", "listing": [{"class": "File", "path": "/d/x.txt"}]}},
         [("x.txt", "/d/x.txt"), ]),
        ({"imputed.vcf.gz": "file:///w/ab/imputed.vcf.gz"}, [("imputed.vcf.gz", "file:///w/ab/imputed.vcf.gz")]),
        ({"wf.out_vcf": "/cromwell/x%20y.vcf.gz"}, [("x%20y.vcf.gz", "/cromwell/x%20y.vcf.gz")]),
        ({"a.vcf.gz": "https://s3/get/0af3?sig=1"}, [("a.vcf.gz", "https://s3/get/0af3?sig=1")]),
        ({"out.vcf.gz": {"src": "hda", "id": "1", "drs_uri": "drs://gx.org/abc"}}, [("out.vcf.gz", "drs://gx.org/abc")]),
        ({"s": "s3://bucket/k/x.vcf.gz"}, [("x.vcf.gz", "s3://bucket/k/x.vcf.gz")]),
        ({"filesystem": ["sample.vcf", "results/i.vcf"], "S3": ["https://b/run1/results/i.vcf?X=1", "https://b/other/q.txt?X=1"]},
         [("sample.vcf", "sample.vcf"), ("results/i.vcf", "https://b/run1/results/i.vcf?X=1"), ("q.txt", "https://b/other/q.txt?X=1")]),
        ({"filesystem": ["a/i.vcf", "i.vcf"], "S3": ["https://b/r/a/i.vcf?1", "https://b/r/i.vcf?2"]},
         [("a/i.vcf", "https://b/r/a/i.vcf?1"), ("i.vcf", "https://b/r/i.vcf?2")]),
        ({"filesystem": [1, None, {}, ""], "S3": "x"}, []),
        ({"d": "/some/folder/"}, []),
    ],
)  # fmt: skip
def test_flatten_when_a_server_has_its_own_shape_then_its_files(
    outputs: object, expected: list[tuple[str, str]]
) -> None:
    assert names(outputs) == expected


def test_flatten_when_a_link_of_weskit_is_broken_then_passed_over() -> None:
    links = ["http://[x/i.vcf", "https://b/r/i.vcf?1"]
    assert names({"filesystem": ["i.vcf"], "S3": links}) == [("i.vcf", "https://b/r/i.vcf?1")]


def test_flatten_when_very_many_files_of_weskit_have_one_name_then_not_each_is_held_against_each() -> (
    None
):
    files = [f"{n}/i.vcf" for n in range(100_000)]
    links = [f"https://b/run/{name}" for name in files]
    assert names({"filesystem": files, "S3": links}) == list(zip(files, links, strict=True))


def test_address_of_when_a_mapped_address_climbs_encoded_then_refused() -> None:
    rule = PathMap(prefix="s3://results/{run_id}/", replace="https://files.org/{run_id}/")
    config = OutputsConfig(file_url_map=(rule,))
    for rest in ("%2e%2e/r2/a.vcf.gz", "x/.%2E/../a.vcf.gz", "x%2f..%2f..%2fr2/a.vcf.gz"):
        assert address_of(f"s3://results/r1/{rest}", config, HERE, "r1") is None, rest
    good = address_of("s3://results/r1/a%20b.vcf.gz", config, HERE, "r1")
    assert good == "https://files.org/r1/a%20b.vcf.gz"


def test_flatten_when_checksums_are_given_then_read() -> None:
    first = flatten(CWL_FILE)[0]
    assert first.size_bytes == 120
    assert first.sha1 == "d472d63f2a1d8b1c3c25f2c8f0a3b8fb2f1f8ab0"
    listed = {"url": "https://x/a", "checksums": [{"type": "md5", "checksum": "AB" * 16}, {"type": "sha-1", "checksum": "zz"}]}  # fmt: skip
    assert flatten(listed)[0].md5 == "ab" * 16
    assert flatten(listed)[0].sha1 is None


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | st.sampled_from(["../x", "/etc/passwd", "file:///etc/passwd", "https://x/..", "https://[", "drs://", "a\x00b", "s3://b/k", "://", "https://x/%2e%2e"])
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["location", "path", "url", "file_url", "basename", "filesystem", "S3", "secondaryFiles", "class", "size", "checksum", "checksums", "x"]),
        inner, max_size=5),
    max_leaves=30,
)  # fmt: skip


@given(outputs=_json, mapped=st.booleans())
def test_outputs_when_anything_is_listed_then_names_are_safe_and_unique_and_addresses_of_three_schemes(
    outputs: Any, mapped: bool
) -> None:
    rules = (
        PathMap(prefix="", replace="https://web.org/{run_id}/"),
        PathMap(prefix="/", replace="https://web.org/"),
    )
    config = OutputsConfig(file_url_map=rules if mapped else ())
    found = chosen(
        flatten(outputs), include=None, exclude=None, whole_tree=False, inputs=frozenset()
    )
    located = locate(found, config, HERE, "run-1")
    keys = [item.key for item in located.outputs]
    assert len({key.casefold() for key in keys}) == len(keys)
    for item in located.outputs:
        assert safe_name(item.name) == item.name
        assert bool(item.address) != bool(item.held_at)
        assert not item.address or item.address.startswith(("https://", "http://", "drs://"))
        assert not item.address.startswith("https://web.org/") or "/../" not in item.address
    assert located == locate(found, config, HERE, "run-1")


def test_flatten_when_nested_beyond_measure_then_it_ends() -> None:
    deep: Any = "file:///x.vcf"
    for _ in range(5000):
        deep = [deep]
    assert len(flatten(deep)) == 1
    assert flatten([["x"] * 1000] * 1000) == []


MAP = (
    PathMap(prefix="/data/runs/", replace="https://web.org/runs/"),
    PathMap(prefix="s3://bucket/", replace="https://s3.org/bucket/"),
    PathMap(prefix="", replace="http://node:5000/{run_id}/"),
)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("file:///data/runs/a%20b/x.vcf.gz", "https://web.org/runs/a%20b/x.vcf.gz"),
        ("/data/runs/a b/x.vcf.gz", "https://web.org/runs/a%20b/x.vcf.gz"),
        ("file:///data/runs/../../etc/passwd", None),
        ("file:///data/runs/%2e%2e/x", None),
        ("file:///etc/passwd", None),
        ("/etc/passwd", None),
        ("s3://bucket/k/x.vcf.gz", "https://s3.org/bucket/k/x.vcf.gz"),
        ("s3://other/k", None),
        ("results/x.vcf.gz", "http://node:5000/r1/results/x.vcf.gz"),
        ("../x.vcf.gz", None),
        ("https://other.org/x?sig=a%2Fb", "https://other.org/x?sig=a%2Fb"),
        ("drs://node:5000/abc", "drs://node:5000/abc"),
        ("/runs/r1/outputs/x", "https://wes.org/ga4gh/wes/v1/runs/r1/outputs/x"),
        ("javascript:alert(1)", "http://node:5000/r1/javascript%3Aalert%281%29"),
        ("gopher://x/y", None),
        ("https://", None),
    ],
)  # fmt: skip
def test_address_when_a_map_says_so_then_an_address_and_never_a_local_path(
    location: str, expected: str | None
) -> None:
    config = OutputsConfig(file_url_map=MAP)
    assert address_of(location, config, HERE, "r1") == expected


def test_locate_when_names_collide_then_unique_and_stable() -> None:
    found = [Found("a.vcf.gz", f"https://x/{n}/a.vcf.gz?sig={n}") for n in range(3)]
    located = locate(found, OutputsConfig(), HERE, "r1").outputs
    assert [item.name for item in located] == ["a.vcf.gz", "a-2.vcf.gz", "a-3.vcf.gz"]
    again = locate(found[::-1], OutputsConfig(), HERE, "r1").outputs
    assert [item.address for item in again] == [item.address for item in located]


def test_locate_when_there_are_too_many_or_bad_names_then_results_first_and_counted() -> None:
    found = [
        Found("r.html", "https://x/r"),
        Found("../x", "https://x/1"),
        Found("b.vcf.gz", "https://x/2"),
    ]
    located = locate(found, OutputsConfig(max_files=1), HERE, "r1")
    assert [item.name for item in located.outputs] == ["b.vcf.gz"]
    assert (located.refused, located.left_out) == (1, 1)


def test_locate_when_held_or_unreachable_then_it_says_where() -> None:
    (item,) = locate(
        [Found("x.vcf.gz", "s3://b/x.vcf.gz?sig=1")], OutputsConfig(), HERE, "r1"
    ).outputs
    assert (item.address, item.held_at) == ("", "s3://b/x.vcf.gz")
    held = OutputsConfig(mode="held")
    (item,) = locate([Found("x", "https://b/x")], held, HERE, "r1").outputs
    assert (item.address, item.held_at) == ("", "https://b/x")
    assert held_at("results/x", "r1") == "results/x (in the folder of run r1)"


TREE = [
    Found(name, name)
    for name in ("chr1.vcf.gz", "results/chr1.vcf.gz", "work/ab/tmp.vcf.gz", ".nextflow.log", "run.yaml", "results/r.html",
                 "results/.command.sh")
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["results/chr1.vcf.gz", "results/r.html"]),
        ({"include": ("results/*",)}, ["results/chr1.vcf.gz", "results/r.html"]),
        ({"include": ("*.html",)}, ["results/r.html"]),
        ({"exclude": ()}, ["results/chr1.vcf.gz", "work/ab/tmp.vcf.gz", "results/r.html"]),
        ({"include": ("*",), "exclude": ("*",)}, []),
        ({"whole_tree": False}, ["chr1.vcf.gz", "results/chr1.vcf.gz", "run.yaml", "results/r.html"]),
    ],
)  # fmt: skip
def test_chosen_when_a_whole_folder_is_listed_then_scratch_and_input_are_left_out(
    changes: dict[str, Any], expected: list[str]
) -> None:
    asked = {"include": None, "exclude": None, "whole_tree": True, "inputs": frozenset({"chr1.vcf.gz"})}  # fmt: skip
    assert [item.name for item in chosen(TREE, **{**asked, **changes})] == expected


@pytest.mark.parametrize(
    ("name", "role"),
    [("a.vcf.gz", "result"), ("a.vcf.gz.tbi", "result"), ("a.info.gz", "result"), ("x/r.HTML", "qc"), ("t.txt", "qc"), ("a.log", "log"),
     ("stderr", "log"), ("a.bin", "result")],
)  # fmt: skip
def test_role_when_a_name_then_what_it_is_for(name: str, role: str) -> None:
    assert role_of(name) == role
