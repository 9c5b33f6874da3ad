"""Sinks that remember what they got, and from which thread."""

import threading
from dataclasses import dataclass, field


@dataclass
class MemoryFile:
    """One received file."""

    sink: "MemorySink"
    data: bytearray = field(default_factory=bytearray)
    finished: bool = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sink.note_thread()
        if self.sink.fail_after is not None:
            self.sink.fail_after -= len(data)
            if self.sink.fail_after < 0:
                assert self.sink.error is not None
                raise self.sink.error
        if self.sink.hold is not None:
            self.sink.hold.wait(10)
        self.sink.received += len(data)
        if self.sink.keep:
            self.data += data

    def finish(self) -> None:
        self.sink.note_thread()
        assert not self.finished
        self.finished = True


@dataclass
class MemorySink:
    """A `Sink`. `hold` makes writes wait; `fail_after` bytes `error` is raised; `keep=False` only counts."""

    hold: threading.Event | None = None
    fail_after: int | None = None
    error: Exception | None = None
    keep: bool = True
    received: int = 0
    files: dict[str, MemoryFile] = field(default_factory=dict)
    threads: set[int] = field(default_factory=set)

    def open(self, name: str) -> MemoryFile:
        self.note_thread()
        assert name not in self.files
        self.files[name] = MemoryFile(self)
        return self.files[name]

    def note_thread(self) -> None:
        self.threads.add(threading.get_ident())

    def whole(self) -> dict[str, bytes]:
        """Give the finished files; all that were opened must be."""
        assert all(file.finished for file in self.files.values())
        return {name: bytes(file.data) for name, file in self.files.items()}
