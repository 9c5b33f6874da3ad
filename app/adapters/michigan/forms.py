"""Filling a server's form: from the platform's words to the fields and keys that this form lists. Pure.

Cloudgene checks almost nothing before a job starts (cloudgene3 `JobParameterParser`): a field that the form does not have
is a 400, while an unknown panel, population or engine is accepted with an id and fails hours later. So everything is
checked here, against the form as it was read just now, and refused with the choices named.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from app.adapters.base import Choice, InputFile, Option, Rejected, Submission
from app.adapters.michigan.discovery import (
    CHOICE_TYPES,
    FILE_TYPES,
    TEXT_TYPES,
    Field,
    Form,
    build_in,
)

AES = "aesEncryption"
PASSWORD = "password"  # noqa: S105 - a field's name
JOB_NAME = "job-name"
_COMMON = frozenset({"build", "phasing", "population", "mode", AES, PASSWORD, JOB_NAME})
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,200}")
"""What passes unchanged through Cloudgene's HTML escaping, its YAML, and the bash and R of the pipeline."""
_FILE_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}\.vcf\.gz")
_NO_PHASING = frozenset({"nophasing", "none", "no", "off"})
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})
_FALLBACK_POPULATIONS = ("mixed", "all", "off")
_SHOWN_CHOICES = 20


def fill(form: Form, submission: Submission, extra: Mapping[str, str]) -> list[tuple[str, str]]:
    """Give the text fields to send, in a stable order. Raises `Rejected` for whatever the form cannot take."""
    for value in (submission.name, submission.archive_password):
        if not _PLAIN.fullmatch(value):
            raise Rejected(
                "The job's remote name or archive password has characters that the service would change."
            )
    panel = _panel(form, submission.panel_key)
    fields = [(JOB_NAME, submission.name)]
    if form.panels is not None:
        fields.append((form.panels.id, panel))
    mapped: tuple[tuple[str, str | None], ...] = (
        ("build", _build(form, submission.build)),
        ("phasing", _phasing(form, submission.phasing)),
        ("population", _population(form, panel, submission.population)),
        ("mode", _mode(form, submission.mode)),
        (AES, _aes(form)),
    )
    fields.extend((name, value) for name, value in mapped if value is not None)
    fields.extend(_options(form, submission.options))
    fields.append((PASSWORD, submission.archive_password))
    taken = {name for name, _ in fields}
    fields.extend((name, value) for name, value in extra.items() if name not in taken)
    return fields


def files_field(form: Form, files: Sequence[InputFile]) -> str:
    """Give the id of the form's file field, after a look at the names. Raises `Rejected`.

    Only names that end in `.vcf.gz` are seen by the pipeline, and two files of one name overwrite each other on the
    server's disk.
    """
    if not files:
        raise Rejected("A job needs at least one input file.")
    names = [item.name.lower() for item in files]
    if len(set(names)) != len(names):
        raise Rejected("Two input files have the same name.")
    if not all(_FILE_NAME.fullmatch(item.name) for item in files):
        raise Rejected("Input files must have plain names that end in .vcf.gz.")
    found = form.files
    if found is None:
        raise Rejected("The service's form takes no files.")
    return found.id


def options_of(form: Form) -> tuple[Option, ...]:
    """Give the fields beyond the common ones, as a person may set them."""
    kinds = {"checkbox": "checkbox", "number": "number"}
    kinds |= dict.fromkeys(CHOICE_TYPES, "choice") | dict.fromkeys(TEXT_TYPES, "text")
    return tuple(
        Option(item.id, kinds[item.type], item.label, item.default, _flat(item))
        for item in _free_fields(form)
        if item.type in kinds
    )


def default_phasing(form: Form) -> str | None:
    """Give the key of the engine that `phasing=True` means: the form's default, else its first engine."""
    item = form.fields.get("phasing")
    if item is None:
        return None
    engines = [choice.key for choice in item.choices if not _means_no_phasing(choice)]
    return item.default if item.default in engines else next(iter(engines), None)


def _panel(form: Form, asked: str) -> str:
    """Give the listed key. `apps@` and the version may be left out of what was asked, as on the server
    (cloudgene3 `CloudgeneContext.resolveAppLinks`); a version that is named must be the listed one.
    """
    item = form.panels
    if item is None:
        raise Rejected("The service's form lists no reference panels.")
    keys = [choice.key for choice in item.choices]
    if asked in keys:
        return asked
    wanted = _panel_id(asked)
    matching = [
        key
        for key in keys
        if _panel_id(key) == wanted or (not wanted[1] and _panel_id(key)[0] == wanted[0])
    ]
    if len(matching) == 1:
        return matching[0]
    raise Rejected(_unknown("reference panel", asked, item.choices))


def _panel_id(key: str) -> tuple[str, str]:
    """Split a key into panel id and version."""
    name, _, version = key.strip().lower().removeprefix("apps@").partition("@")
    return name, version


def _build(form: Form, asked: str) -> str | None:
    item = form.fields.get("build")
    if item is None:
        return None
    wanted = build_in(asked) or asked
    for choice in item.choices:
        if _same(choice.key, asked) or (build_in(choice.key) or build_in(choice.label)) == wanted:
            return choice.key
    raise Rejected(_unknown("build", asked, item.choices))


def _phasing(form: Form, asked: bool | str) -> str | None:
    item = form.fields.get("phasing")
    if item is None:
        if isinstance(asked, str):
            raise Rejected("The service's form offers no choice of phasing.")
        return None
    if asked is True:
        engine = default_phasing(form)
        if engine is None:
            raise Rejected("The service lists no phasing engine.")
        return engine
    for choice in item.choices:
        if _means_no_phasing(choice) if asked is False else _same(choice.key, str(asked)):
            return choice.key
    raise Rejected(_unknown("phasing", "none" if asked is False else str(asked), item.choices))


def _population(form: Form, panel: str, asked: str | None) -> str | None:
    """Give the listed key. The field is never sent empty: that was seen to break the pipeline's command line."""
    if "population" not in form.fields:
        return None
    listed = form.populations(panel)
    if not listed:
        if asked is None or asked.lower() in _FALLBACK_POPULATIONS:
            return None
        raise Rejected("The reference panel lists no populations to choose from.")
    for wanted in (asked,) if asked is not None else _FALLBACK_POPULATIONS:
        for choice in listed:
            if _same(choice.key, wanted):
                return choice.key
    raise Rejected(_unknown("population", asked or "mixed", listed))


def _mode(form: Form, asked: str | None) -> str | None:
    """Give the listed key; spellings of «qc only» differ between sites (`qconly`, `qc_only`)."""
    item = form.fields.get("mode")
    if asked is None:
        return None
    if item is None:
        if _bare(asked) == "imputation":
            return None
        raise Rejected("The service's form offers no choice of mode.")
    for choice in item.choices:
        if _bare(choice.key) == _bare(asked):
            return choice.key
    raise Rejected(_unknown("mode", asked, item.choices))


def _aes(form: Form) -> str | None:
    """Switch AES on where it is listed: it opens eight times faster than ZipCrypto, and is sound."""
    item = form.fields.get(AES)
    return None if item is None else _checked(item)


def _options(form: Form, asked: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    free = {item.id: item for item in _free_fields(form)}
    for name, value in asked.items():
        item = free.get(name)
        if item is None:
            known = tuple(Choice(key, key) for key in free)
            raise Rejected(_unknown("option", name, known))
        given = _option(item, value)
        if given is not None:
            yield name, given


def _option(item: Field, value: str) -> str | None:
    """Give what to send for one option, None for an unchecked box: a box counts as checked by being there at all."""
    if item.type == "checkbox":
        if value.strip().lower() in _YES:
            return _checked(item)
        if value.strip().lower() in _NO:
            return None
        raise Rejected(f"The option {item.id} is yes or no.")
    if item.type in CHOICE_TYPES:
        for choice in _flat(item):
            if _same(choice.key, value):
                return choice.key
        raise Rejected(_unknown(item.id, value, _flat(item)))
    if item.type == "number" and not re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", value.strip()):
        raise Rejected(f"The option {item.id} is a number.")
    if not value.strip() or not value.isprintable() or len(value) > 1000:
        raise Rejected(f"The option {item.id} needs a short line of text.")
    return value.strip()


def _checked(item: Field) -> str:
    return next((choice.key for choice in item.choices if choice.key.lower() in _YES), "true")


def _free_fields(form: Form) -> list[Field]:
    """Give the fields that are neither common nor mere text of the page."""
    panels = form.panels
    usable = CHOICE_TYPES | TEXT_TYPES | {"checkbox", "number"}
    return [
        item
        for item in form.fields.values()
        if item.id not in _COMMON
        and item is not panels
        and item.type in usable
        and item.type not in FILE_TYPES
    ]


def _flat(item: Field) -> tuple[Choice, ...]:
    """Give a field's choices; those of a bound list together."""
    if not item.bound:
        return item.choices
    return tuple(
        {choice.key: choice for listed in item.bound.values() for choice in listed}.values()
    )


def _means_no_phasing(choice: Choice) -> bool:
    return _bare(choice.key) in _NO_PHASING or _bare(choice.label) == "nophasing"


def _same(left: str, right: str) -> bool:
    return left.strip().lower() == right.strip().lower()


def _bare(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def _unknown(what: str, asked: str, choices: Sequence[Choice]) -> str:
    """Say that something is not offered and what is. What was asked is shown where it is plain."""
    named = f" {asked}" if _PLAIN.fullmatch(asked.replace("@", "-")) else ""
    listed = ", ".join(choice.key for choice in choices[:_SHOWN_CHOICES]) or "none"
    more = ", …" if len(choices) > _SHOWN_CHOICES else ""
    return f"The service does not offer the {what}{named}. It offers: {listed}{more}."
