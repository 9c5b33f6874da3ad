"""Encrypted archives, and what becomes of passwords on their way into them."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sandbox.engine import archive, zipwriter
from app.sandbox.engine.model import (
    Cancellation,
    Sabotage,
)
from app.sandbox.engine.tools import Tools
from tests.sandbox.support import OPTIONS, unzip


@pytest.mark.parametrize("aes", [False, True])
@pytest.mark.parametrize("sizes", [(0,), (1, 15, 16, 17), (65_536, 65_537), (200_000,)])
def test_own_zip_when_opened_by_others_then_same_bytes(
    tmp_path: Path, aes: bool, sizes: tuple[int, ...]
) -> None:
    contents = {f"f{size}": bytes(i * 7 % 251 for i in range(size)) for size in sizes}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    target = tmp_path / "a.zip"
    members = [zipwriter.from_file(tmp_path / name) for name in contents]
    zipwriter.write_zip(target, members, "fi-pass", aes=aes)
    assert unzip(target.read_bytes(), "fi-pass") == contents
    program = Tools.find().zip
    if program is not None:
        subprocess.run([program, "t", "-pfi-pass", target], check=True, capture_output=True)


@pytest.mark.parametrize("aes", [False, True])
def test_seal_when_large_then_sevenzip_writes_the_cipher_asked_for(
    tmp_path: Path, aes: bool
) -> None:
    tools = Tools.find()
    if tools.zip is None:
        pytest.skip("7-Zip is not installed")
    content = bytes(i * i % 256 for i in range(1_500_000))
    (tmp_path / "chr20.dose.vcf.gz").write_bytes(content)
    target = tmp_path / "chr_20.zip"
    files = [tmp_path / "chr20.dose.vcf.gz"]
    options = replace(OPTIONS, aes=aes)
    archive.seal(target, files, options, "fi-x", Sabotage(), tools, Cancellation(), quick=False)
    assert (target.read_bytes()[8] == 99) == aes
    assert unzip(target.read_bytes(), "fi-x") == {"chr20.dose.vcf.gz": content}
    assert not target.with_suffix(".log").exists()


@given(st.text(alphabet="abz09 .-_&;#%'^*()[]{}|<>~+=,:?/@\"\\$`", max_size=12))
@settings(max_examples=40, deadline=None)
def test_password_in_shell_when_no_expansion_is_in_it_then_as_bash_reads_it(text: str) -> None:
    # Quotes cannot arrive (they are escaped to entities before), nor is an open backtick or brace of use.
    text = text.replace('"', "").replace("`", "").replace("$", "")
    text = text.rstrip("\\")
    answer = subprocess.run(
        ["bash", "-c", f'printf %s "{text}"'], capture_output=True, check=True, text=True
    )
    assert archive.password_in_shell(text) == answer.stdout


@pytest.mark.parametrize("text", ["a$b c", "a${b}c", "a\\$b", "a`true`b", "a$(true)b", "x\\\\y"])
def test_password_in_shell_when_expanded_then_as_bash_does(text: str) -> None:
    answer = subprocess.run(
        ["bash", "-c", f'printf %s "{text}"'], capture_output=True, check=True, text=True, env={}
    )
    assert archive.password_in_shell(text) == answer.stdout
