"""Remote text: whatever comes in, what goes out is plain, short, and without secrets."""

import html
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.text import REDACTED, clean, clean_line, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqZG9lIn0.c2lnbmF0dXJl"
HASH = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            "<b>Imputation (3/10)</b><br><div class=\"progress\" style='x'><div></div></div>",
            "Imputation (3/10)",
        ),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("a &lt; b &amp; c", "a < b & c"),
        ("MAF < 0.05 and r2<0.3", "MAF < 0.05 and r2<0.3"),
        ("<script>alert('x')</script>after", "after"),
        ("<style>p{}</style><table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("tab\there\r\nline\x0b\x00\x1b[31mred", "tab here\nline[31mred"),
        ("right\u202eto left\u200b\ufeff", "rightto left"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("\n\n\n\na\n\n\n\n\nb\n", "a\n\nb"),
        ("  many   blanks  ", "many blanks"),
        (None, ""),
        (12, ""),
        ({"a": 1}, ""),
    ],
)
def test_clean_when_given_remote_text_then_plain(raw: object, expected: str) -> None:
    assert clean(raw) == expected


def test_clean_when_too_long_then_cut_with_a_mark() -> None:
    cut = clean("x" * 5000, limit=100)
    assert len(cut) == 100
    assert cut.endswith("…")


def test_clean_line_when_several_lines_then_one() -> None:
    assert clean_line("a<br>b\n\nc") == "a b c"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"bad token {JWT} given", JWT),
        (f"cut token {JWT[:30]}", JWT[:30]),
        ("token h3a_live_0123456789", "h3a_live_0123456789"),
        (
            "We encrypted the results with the following password: <b>a$\"B'c,1;2&amp;!</b>",
            "a$\"B'c,1;2",
        ),
        ("The password for the imputation results is: hunter2", "hunter2"),
        ("The password is hunter2", "hunter2"),
        ('{"password":"hunter2","x":1}', "hunter2"),
        ("password -> hunter2", "hunter2"),
        ("Inputs:\n  encryption_password = hunter2\n", "hunter2"),
        ("PASSWORD:\nhunter2", "hunter2"),
        ('7z a -tzip -p"hunter2" chr_20.zip', "hunter2"),
        ("X-Auth-Token: abcdefgh12345678", "abcdefgh12345678"),
        ("api_key=abcdefgh12345678", "abcdefgh12345678"),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        (f"see https://x.org/share/results/{HASH}/chr_20.zip", HASH),
        (f"could not open https://fip.example/files/remote/{HASH}/chr20.vcf.gz", HASH),
        ("curl -T x http://127.0.0.1:8000/files/push/k7.Zq-_secret/chr20.vcf.gz", "k7.Zq-_secret"),
        (f"curl /downloads/job-1/{HASH[:20]}/chr_20.zip", HASH[:20]),
        (f"hash {HASH}", HASH),
        ("it opens with fi-0aB1cD2eF3gH4iJ5kL6mN7oP.", "0aB1cD2eF3gH4iJ5kL6mN7oP"),
        ("https://jdoe:hunter2@x.org/a", "hunter2"),
        ("https://s3.org/b/k?X-Amz-Signature=abc123&X-Amz-Credential=AKIA", "abc123"),
    ],
)
def test_redact_when_text_holds_a_secret_then_it_is_gone(text: str, secret: str) -> None:
    for result in (redact(text), clean(text)):
        assert secret not in result
        assert "hunter" not in result


@pytest.mark.parametrize(
    "text",
    [
        "1 valid VCF file(s) found.\n\nSamples: 51\nChromosomes: 20\nSNPs: 7824",
        "Job job-20251005-162345-508 not found.",
        "API Token expired: create a new one",
        "QC passed: 5000 SNPs",
        "Only 2 jobs per user can be executed simultaneously.",
        "key: short",
        "job fi-9b2b500c30d74f2c99613d9f42fc94e2 of fi-0aB1",
        "See https://genepi.github.io/docs/errors.html for help",
    ],
)
def test_redact_when_text_is_harmless_then_unchanged(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("form", ["{}", "x{}y", "&quot;{}", "<b>{}</b>"])
@pytest.mark.parametrize("secret", ["pa&ss<w>", "plain-secret", "a b+c/d"])
def test_clean_when_a_known_secret_is_echoed_then_gone_in_every_form(
    form: str, secret: str
) -> None:
    for spelt in (secret, html.escape(secret), quote(secret, safe="")):
        shown = clean(form.format(spelt), secrets=[secret])
        assert secret not in shown
        assert spelt not in shown


def test_clean_when_a_secret_stands_at_the_cut_then_no_part_of_it_stays() -> None:
    secret = "S3CR3T-" * 6
    for pad in range(32_700, 32_800, 7):
        shown = clean(
            "<i></i>" * (pad // 7) + "x" * (pad % 7) + secret, secrets=[secret], limit=2000
        )
        assert "S3CR3T" not in shown


@given(st.text(max_size=300))
def test_clean_when_given_anything_then_storable_and_bounded(raw: str) -> None:
    shown = clean(raw, limit=50)
    shown.encode("utf-8")
    assert len(shown) <= 50
    assert "\x00" not in shown
    assert not any(ord(c) < 32 and c != "\n" for c in shown)


@pytest.mark.parametrize(
    "hostile",
    ["<" * 300_000, "<a " * 100_000, "<!--" * 80_000, "&" * 300_000, "<![" * 90_000, "password" * 40_000,
     "eyJ" * 100_000, "https://" * 40_000, "7z " * 100_000, "token:" * 60_000, "\u202e" * 300_000, "</script" * 40_000],
)  # fmt: skip
def test_clean_when_text_is_built_to_be_slow_then_it_is_not(hostile: str) -> None:
    began = time.process_time()
    clean(hostile)
    # Far from what quadratic work over 300,000 characters would take; no measure of speed.
    assert time.process_time() - began < 5


def test_redact_when_run_twice_then_the_same() -> None:
    once = redact("password: hunter2 and token: abcdefghijk")
    assert redact(once) == once
    assert once.count(REDACTED) == 2
