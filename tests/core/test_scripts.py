"""The script that fetches results: safe to paste whatever files are called."""

import shlex
import subprocess

from app.core.scripts import download_script, plain_name

SUM = "0" * 64


def test_script_when_names_are_hostile_then_bash_reads_it_and_runs_nothing_of_them() -> None:
    names = ["$(touch x)", "`id`", "SUMS", "END-OF-SCRIPT", "a b'c\"d", "back\\slash", "é.vcf.gz"]
    script = download_script(
        "http://h/files/1/download?x='", "'; touch y; '", [(name, SUM) for name in names],
        needs_token=True,
    )  # fmt: skip
    done = subprocess.run(
        ["bash", "-n"], input=script, capture_output=True, text=True, check=False, timeout=10
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert shlex.quote("http://h/files/1/download?x='") in script
    assert f"\\{SUM}  back\\\\slash" in script
    assert script.count("\nEND-OF-SCRIPT\n") == 1
    assert script.count("\nSUMS\n") == 1


def test_name_when_nothing_plain_is_left_then_it_is_results() -> None:
    assert plain_name("…/..") == "results"
    assert plain_name("-rf --help: 20 %") == "rf---help-20"
    assert len(plain_name("x" * 500)) == 80
