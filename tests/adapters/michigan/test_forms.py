"""From the platform's words to the fields that a form lists; refusals name the choices."""

from pathlib import Path

import pytest

from app.adapters.base import InputFile, Rejected
from app.adapters.michigan.discovery import Form
from app.adapters.michigan.forms import default_phasing, files_field, fill, options_of
from tests.adapters.conftest import PASSWORD, make_form, make_submission
from tests.fakes.cloudgene_form import BARE_PANEL, PANEL


def _fill(tmp_path: Path, form: Form | None = None, **changes: object) -> dict[str, str]:
    pairs = fill(form or make_form(), make_submission(tmp_path, **changes), {})  # type: ignore[arg-type] # a bag
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_fill_when_all_is_usual_then_exactly_these_fields(tmp_path: Path) -> None:
    assert _fill(tmp_path) == {
        "job-name": "fi-3f0c",
        "refpanel": PANEL,
        "build": "hg19",
        "phasing": "eagle",
        "population": "afr",
        "mode": "imputation",
        "aesEncryption": "true",
        "password": PASSWORD,
    }


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (True, "eagle"),
        (False, "no_phasing"),
        ("beagle", "beagle"),
        ("Eagle", "eagle"),
        ("no_phasing", "no_phasing"),
    ],
)
def test_fill_when_phasing_is_asked_for_then_the_listed_key(
    tmp_path: Path, asked: bool | str, sent: str
) -> None:
    assert _fill(tmp_path, phasing=asked)["phasing"] == sent


def test_fill_when_phasing_is_not_listed_then_rejected_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"phasing shapeit.* beagle, eagle, no_phasing"):
        _fill(tmp_path, phasing="shapeit")
    only_eagle = make_form(
        phasing={"type": "list", "value": "eagle", "values": [{"key": "eagle", "value": "x"}]}
    )
    with pytest.raises(Rejected, match="phasing none"):
        _fill(tmp_path, only_eagle, phasing=False)
    assert "phasing" not in _fill(tmp_path, make_form(phasing=None), phasing=True)
    with pytest.raises(Rejected, match="no choice of phasing"):
        _fill(tmp_path, make_form(phasing=None), phasing="eagle")


def test_default_phasing_when_the_default_is_no_engine_then_the_first_engine() -> None:
    values = [{"key": "no_phasing", "value": "No phasing"}, {"key": "beagle", "value": "b"}]
    assert (
        default_phasing(
            make_form(phasing={"type": "list", "value": "no_phasing", "values": values})
        )
        == "beagle"
    )
    assert default_phasing(make_form(phasing={"type": "list", "values": values[:1]})) is None


@pytest.mark.parametrize(
    ("asked", "sent"), [("afr", "afr"), ("AFR", "afr"), ("aa", "AA"), ("OFF", "off"), (None, "off")]
)
def test_fill_when_population_is_listed_in_any_case_then_the_listed_key(
    tmp_path: Path, asked: str | None, sent: str
) -> None:
    assert _fill(tmp_path, population=asked)["population"] == sent


def test_fill_when_population_is_absent_then_mixed_before_all_before_off(tmp_path: Path) -> None:
    def form(*keys: str) -> Form:
        values = [{"key": PANEL, "values": [{"key": key, "value": key} for key in keys]}]
        return make_form(population={"type": "binded_list", "bind": "refpanel", "values": values})

    assert (
        _fill(tmp_path, form("eur", "off", "all", "mixed"), population=None)["population"]
        == "mixed"
    )
    assert _fill(tmp_path, form("eur", "off", "all"), population=None)["population"] == "all"
    with pytest.raises(Rejected, match="It offers: eur, afr"):
        _fill(tmp_path, form("eur", "afr"), population=None)


def test_fill_when_the_panel_has_no_populations_then_the_field_is_left_out(tmp_path: Path) -> None:
    assert "population" not in _fill(tmp_path, panel_key=BARE_PANEL, population=None)
    assert "population" not in _fill(tmp_path, panel_key=BARE_PANEL, population="mixed")
    with pytest.raises(Rejected, match="no populations"):
        _fill(tmp_path, panel_key=BARE_PANEL, population="afr")
    assert "population" not in _fill(tmp_path, make_form(population=None), population="afr")


def test_fill_when_population_is_of_another_panel_then_rejected_with_the_choices(
    tmp_path: Path,
) -> None:
    with pytest.raises(Rejected, match=r"population eas.* afr, AA, off"):
        _fill(tmp_path, population="eas")


@pytest.mark.parametrize(
    "asked",
    [PANEL, "h3africa-v6hc-s@1.0.0", "apps@h3africa-v6hc-s", "h3africa-v6hc-s", "H3AFRICA-v6hc-s"],
)
def test_fill_when_the_panel_is_named_shortly_then_the_listed_key(
    tmp_path: Path, asked: str
) -> None:
    assert _fill(tmp_path, panel_key=asked)["refpanel"] == PANEL


@pytest.mark.parametrize(
    "asked", ["apps@h3africa-v6hc-s@1.0.1", "h3africa", "", "apps@", "<script>"]
)
def test_fill_when_the_panel_is_not_listed_then_rejected_with_the_choices(
    tmp_path: Path, asked: str
) -> None:
    with pytest.raises(Rejected, match=f"It offers: {PANEL}, {BARE_PANEL}") as caught:
        _fill(tmp_path, panel_key=asked)
    assert "<" not in caught.value.reason


def test_fill_when_two_versions_of_a_panel_are_listed_then_a_short_name_is_refused(
    tmp_path: Path,
) -> None:
    values = [{"key": f"apps@x@{version}", "value": "X"} for version in ("1.0", "2.0")]
    form = make_form(refpanel={"type": "app_list", "values": values}, population=None)
    assert _fill(tmp_path, form, panel_key="x@2.0")["refpanel"] == "apps@x@2.0"
    with pytest.raises(Rejected, match="reference panel x"):
        _fill(tmp_path, form, panel_key="x")


@pytest.mark.parametrize(
    ("asked", "sent"), [("hg38", "hg38"), ("HG38", "hg38"), ("GRCh38", "hg38"), ("GRCh37", "hg19")]
)
def test_fill_when_build_is_known_then_the_listed_key(
    tmp_path: Path, asked: str, sent: str
) -> None:
    assert _fill(tmp_path, build=asked)["build"] == sent


def test_fill_when_the_site_spells_builds_otherwise_then_its_key(tmp_path: Path) -> None:
    form = make_form(build={"type": "list", "values": [{"key": "b38", "value": "GRCh38/hg38"}]})
    assert _fill(tmp_path, form, build="hg38")["build"] == "b38"
    with pytest.raises(Rejected, match=r"build hg19.* b38"):
        _fill(tmp_path, form, build="hg19")


@pytest.mark.parametrize(
    ("listed", "asked"), [("qc_only", "qc_only"), ("qconly", "qc_only"), ("qc_only", "qconly")]
)
def test_fill_when_mode_is_spelt_otherwise_then_the_listed_key(
    tmp_path: Path, listed: str, asked: str
) -> None:
    values = [{"key": "imputation", "value": "x"}, {"key": listed, "value": "y"}]
    form = make_form(mode={"type": "list", "value": "imputation", "values": values})
    assert _fill(tmp_path, form, mode=asked)["mode"] == listed
    assert "mode" not in _fill(tmp_path, form, mode=None)


def test_fill_when_mode_cannot_be_chosen_then_only_imputation_goes(tmp_path: Path) -> None:
    form = make_form(mode=None)
    assert "mode" not in _fill(tmp_path, form, mode="imputation")
    with pytest.raises(Rejected, match="mode"):
        _fill(tmp_path, form, mode="qc_only")
    with pytest.raises(Rejected, match=r"mode phasing.* imputation, qc_only"):
        _fill(tmp_path, mode="phasing")


def test_fill_when_aes_is_not_listed_then_not_sent(tmp_path: Path) -> None:
    assert "aesEncryption" not in _fill(tmp_path, make_form(aesEncryption=None))
    yes_no = make_form(
        aesEncryption={"type": "checkbox", "value": "no", "values": [{"key": "no"}, {"key": "yes"}]}
    )
    assert _fill(tmp_path, yes_no)["aesEncryption"] == "yes"


@pytest.mark.parametrize(
    ("value", "sent"),
    [("true", "true"), ("Yes", "true"), ("on", "true"), ("no", None), ("false", None), ("", None)],
)
def test_fill_when_a_box_is_unchecked_then_it_is_absent(
    tmp_path: Path, value: str, sent: str | None
) -> None:
    """Any value, `false` too, would switch it on."""
    assert _fill(tmp_path, options={"meta": value}).get("meta") == sent


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unknown": "1"}, "option unknown.* r2Filter, meta"),
        ({"r2Filter": "0.5"}, "r2Filter.* 0, 0.3"),
        ({"meta": "perhaps"}, "yes or no"),
        ({"password": "x"}, "option password"),
        ({"refpanel": "x"}, "option refpanel"),
        ({"job-name": "x"}, "option job-name"),
        ({"files": "x"}, "option files"),
        ({"aesEncryption": "no"}, "option aesEncryption"),
        ({"check1": "x"}, "option check1"),
        ({"a\r\nb": "x"}, "does not offer the option\\. "),
    ],
)
def test_fill_when_an_option_is_impossible_then_rejected(
    tmp_path: Path, options: dict[str, str], words: str
) -> None:
    with pytest.raises(Rejected, match=words):
        _fill(tmp_path, options=options)


def test_fill_when_options_are_of_every_kind_then_checked_by_kind(tmp_path: Path) -> None:
    form = make_form(
        count={"type": "number", "value": "1"},
        note={"type": "text"},
        engine={"type": "radio", "values": [{"key": "A", "value": "x"}]},
    )
    sent = _fill(
        tmp_path, form, options={"count": "-1.5", "note": " a b ", "engine": "a", "r2Filter": "0.3"}
    )
    assert (sent["count"], sent["note"], sent["engine"], sent["r2Filter"]) == (
        "-1.5",
        "a b",
        "A",
        "0.3",
    )
    for options in (
        {"count": "x"},
        {"count": ""},
        {"note": "a\nb"},
        {"note": " "},
        {"note": "x" * 2000},
        {"engine": "B"},
    ):
        with pytest.raises(Rejected):
            _fill(tmp_path, form, options=options)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a b"},
        {"name": "a$(x)"},
        {"name": ""},
        {"archive_password": "a&b"},
        {"archive_password": ""},
        {"name": "x" * 301},
    ],
)
def test_fill_when_name_or_password_would_be_changed_on_the_way_then_rejected(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    with pytest.raises(Rejected, match="characters") as caught:
        _fill(tmp_path, None, **changes)
    assert PASSWORD not in caught.value.reason


def test_fill_when_an_administrator_adds_fields_then_sent_but_never_in_place_of_ours(
    tmp_path: Path,
) -> None:
    pairs = dict(
        fill(make_form(), make_submission(tmp_path), {"check1": "accepted", "build": "hg38"})
    )
    assert pairs["check1"] == "accepted"
    assert pairs["build"] == "hg19"


def test_fill_when_the_form_has_no_panels_then_rejected(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="no reference panels"):
        _fill(tmp_path, make_form(refpanel=None))


def _named(tmp_path: Path, *names: str) -> tuple[InputFile, ...]:
    return tuple(InputFile(tmp_path / "x", name, 1) for name in names)


@pytest.mark.parametrize(
    "names",
    [(), ("a.vcf.gz", "A.VCF.GZ"), ("a.vcf",), ("a.VCF.GZ",), ("../a.vcf.gz",), ("a b.vcf.gz",), ("ä.vcf.gz",), ("a\n.vcf.gz",), ('a".vcf.gz',), (".vcf.gz",)],
)  # fmt: skip
def test_files_field_when_names_are_impossible_then_rejected(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    with pytest.raises(Rejected):
        files_field(make_form(), _named(tmp_path, *names))


def test_files_field_when_the_site_calls_it_otherwise_then_its_id(tmp_path: Path) -> None:
    form = make_form(files=None, vcfs={"type": "local_folder"})
    assert files_field(form, _named(tmp_path, "a.vcf.gz", "b.vcf.gz")) == "vcfs"
    with pytest.raises(Rejected, match="takes no files"):
        files_field(make_form(files=None), _named(tmp_path, "a.vcf.gz"))


def test_options_of_when_read_then_neither_common_fields_nor_page_text() -> None:
    options = {option.id: option for option in options_of(make_form(note={"type": "textarea"}))}
    assert set(options) == {"r2Filter", "meta", "note"}
    assert options["r2Filter"].kind == "choice"
    assert [choice.key for choice in options["r2Filter"].choices] == ["0", "0.3"]
    assert options["meta"].kind == "checkbox"
    assert options["note"].kind == "text"
