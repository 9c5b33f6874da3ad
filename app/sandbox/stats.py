"""What the sandbox counts, so that a test can ask how often something really happened."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stats:
    """Counts since the start of the process; the jobs themselves are counted from the job book.

    requests: by method and route pattern. downloads: by ``job/file``. leaked_tokens: requests to the
    bare object store that carried a token which was meant for the API.
    """

    requests: Counter[str] = field(default_factory=Counter)
    downloads: Counter[str] = field(default_factory=Counter)
    uploads: int = 0
    upload_bytes: int = 0
    answers_lost: int = 0
    submissions_dropped: int = 0
    leaked_tokens: int = 0

    def as_json(self) -> dict[str, object]:
        return {
            "requests": dict(self.requests),
            "downloads": dict(self.downloads),
            "uploads": self.uploads,
            "upload_bytes": self.upload_bytes,
            "answers_lost": self.answers_lost,
            "submissions_dropped": self.submissions_dropped,
            "leaked_tokens": self.leaked_tokens,
        }
