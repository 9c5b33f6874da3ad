"""The form of a new job as a browser sends it by itself: the page's own fields and its files, in the order of the page.

The files come before most fields there. What is wrong with one is kept until the rest has come, so that the page can be shown
again with all that was chosen; but nobody sends gigabytes for that.
"""

from collections.abc import Callable

from app.core.choosing import Choices, ensure_chosen, form_fields, read_choices
from app.core.errors import AppError
from app.usecases.intake import IncomingFile
from app.usecases.submission import FILE_ID_FIELD, JobForm

MAX_PASSED_OVER_BYTES = 64 * 1024 * 1024
"""As much of refused files is read to learn what else the form says."""
_KEY = "idempotency_key"
_MAX_KEY_CHARS = 100


class PageForm:
    """The form of one request (`app.web.upload.Form`). `tell` says it to the `job` form, once all of it has come."""

    def __init__(self, job: JobForm) -> None:
        self.job = job
        self.key: str | None = None
        self._fields: list[tuple[str, str]] = []
        self._refusal: AppError | None = None
        self._passed_over = 0

    @property
    def choices(self) -> Choices:
        """What was chosen, as far as it has come."""
        return read_choices(self._fields)

    def take_field(self, name: str, value: str) -> None:
        """Take a text field."""
        if name == _KEY:
            is_plain = value.isascii() and value.isprintable() and " " not in value
            self.key = value if is_plain and 0 < len(value) <= _MAX_KEY_CHARS else None
        else:
            self._fields.append((name, value))

    async def open_file(self, name: str, file_name: str, expected_bytes: int | None) -> "PagePart":
        """Begin a file."""
        file = None
        if self._refusal is None:
            try:
                file = await self.job.open_file(name, file_name, expected_bytes)
            except AppError as error:
                self._refusal = error
        return PagePart(file, self._note, self._pass_over)

    def tell(self) -> None:
        """Tell the job's form what was chosen. Raises AppError, also what was found wrong with a file."""
        choices = self.choices
        if self._refusal is not None:
            raise self._refusal
        ensure_chosen(choices)
        for name, value in form_fields(choices).items():
            self.job.take_field(name, value)
        for file_id in choices.file_ids:
            self.job.take_field(FILE_ID_FIELD, str(file_id))

    def _note(self, error: AppError) -> None:
        self._refusal = self._refusal or error

    def _pass_over(self, size_bytes: int) -> None:
        """Raise what was wrong once too much was passed over."""
        self._passed_over += size_bytes
        if self._passed_over > MAX_PASSED_OVER_BYTES and self._refusal is not None:
            raise self._refusal


class PagePart:
    """A file of the form; after it was refused, what comes of it is passed over."""

    def __init__(
        self,
        file: IncomingFile | None,
        note: Callable[[AppError], None],
        pass_over: Callable[[int], None],
    ) -> None:
        self._file = file
        self._note = note
        self._pass_over = pass_over

    def judge(self, head: bytes) -> None:
        """Look at the first bytes."""
        self._try(lambda file: file.judge(head))

    def write(self, data: memoryview) -> None:
        """Append."""
        if self._file is None:
            self._pass_over(len(data))
        else:
            self._try(lambda file: file.write(data))

    def finish(self) -> None:
        """The file is whole."""
        self._try(lambda file: file.finish())

    def _try(self, act: Callable[[IncomingFile], None]) -> None:
        if self._file is None:
            return
        try:
            act(self._file)
        except AppError as error:
            self._file = None
            self._note(error)
