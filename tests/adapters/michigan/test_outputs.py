"""What can be downloaded: names as data, addresses as secrets."""

import pytest

from app.adapters.michigan.outputs import md5_of, read_outputs, role_of

HASH = "a1b2c3d4" * 8


@pytest.mark.parametrize(
    ("name", "group", "role"),
    [
        ("chr_20.zip", "output", "result"), ("chr_X.zip", "local", "result"), ("chr20.dose.vcf.gz", "output", "result"),
        ("chr20.info.gz", "output", "result"), ("quality-control.html", "output", "qc"), ("qc_report.txt", "output", "qc"),
        ("statistics/snps-excluded.txt", "output", "qc"), ("chunks_summary.txt", "output", "qc"), ("results.md5", "local", "qc"),
        ("cloudgene.log", "output", "log"), ("std.out", "logfile", "log"), ("scores.bin", "output", "result"),
    ],
)  # fmt: skip
def test_role_of_when_named_as_the_servers_do_then_the_right_one(
    name: str, group: str, role: str
) -> None:
    assert role_of(name, group) == role


def _param(*files: dict[str, object], name: str = "output") -> dict[str, object]:
    return {"outputParams": [{"name": name, "files": list(files)}]}


def _listed(name: object, secret: object = HASH, count: object = 10) -> dict[str, object]:
    return {"name": name, "hash": secret, "count": count, "size": "1 MB"}


def test_read_outputs_when_checksums_lie_beside_then_joined_and_not_listed() -> None:
    other = "b" * 64
    listed = read_outputs(
        _param(_listed("chr_20.zip"), _listed("chr_20.zip.md5", other), _listed("alone.md5"))
    )
    assert [output.name for output in listed.outputs] == ["chr_20.zip", "alone.md5"]
    zipped = listed.outputs[0]
    assert zipped.md5_address == f"share/results/{other}/chr_20.zip.md5"
    assert zipped.address == f"share/results/{HASH}/chr_20.zip"
    assert zipped.archive
    assert HASH not in repr(zipped)
    assert other not in repr(zipped)


@pytest.mark.parametrize(
    ("count", "left"), [(10, 10), (0, 0), (-1, None), (None, None), ("3", 3), ("x", None)]
)
def test_read_outputs_when_a_counter_is_shown_then_read(count: object, left: int | None) -> None:
    (output,) = read_outputs(_param(_listed("a.zip", count=count))).outputs
    assert output.downloads_left == left


@pytest.mark.parametrize(
    ("name", "secret"),
    [("../x", HASH), ("/etc/passwd", HASH), ("a\\b", HASH), ("a\x00", HASH), ("", HASH), (None, HASH), ("a", ""), ("a", None),
     ("a", "../../admin"), ("a", "x/y"), ("a", "short"), ("a", "a" * 300), ("a?b:c", HASH)],
)  # fmt: skip
def test_read_outputs_when_name_or_hash_is_impossible_then_left_out_and_counted(
    name: object, secret: object
) -> None:
    listed = read_outputs(_param(_listed(name, secret), _listed("good.zip")))
    assert [output.name for output in listed.outputs] == ["good.zip"]
    assert listed.refused == 1


def test_read_outputs_when_two_groups_have_a_file_of_one_name_then_two_keys() -> None:
    job = {
        "outputParams": [
            {"name": "a", "files": [_listed("x.txt")]},
            {"name": "b", "files": [_listed("x.txt")]},
        ]
    }
    assert [output.key for output in read_outputs(job).outputs] == ["a/x.txt", "b/x.txt"]
    assert read_outputs(job).outputs == read_outputs(job).outputs


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("d41d8cd98f00b204e9800998ecf8427e  chr_20.zip\n", True), ("D41D8CD98F00B204E9800998ECF8427E *chr_20.zip", True),
        ("d41d8cd98f00b204e9800998ecf8427e  /tmp/x/chr_20.zip", True), ("d41d8cd98f00b204e9800998ecf8427e\n", True),
        ("ffffffffffffffffffffffffffffffff  chr_1.zip\nd41d8cd98f00b204e9800998ecf8427e  chr_20.zip", True),
        ("d41d8cd98f00b204e9800998ecf8427e  other.zip", False), ("<html>", False), ("", False), ("d41d8cd98f00b204  chr_20.zip", False),
    ],
)  # fmt: skip
def test_md5_of_when_lines_are_given_then_the_files_own(text: str, found: bool) -> None:
    assert md5_of(text, "chr_20.zip") == ("d41d8cd98f00b204e9800998ecf8427e" if found else None)


def test_read_outputs_when_the_group_has_an_odd_name_then_the_key_can_be_stored() -> None:
    for group in ("a\x00b", "\n", None, 7, "x" * 500):
        (output,) = read_outputs(
            {"outputParams": [{"name": group, "files": [_listed("a.zip")]}]}
        ).outputs
        assert output.key.isprintable()
        assert len(output.key) < 120
