"""The place of one answer in Valkey, and what stands in it: the answer, or that somebody is getting it.

Either begins with a letter for its kind and the epochs it was begun under; under other epochs the place
counts as empty.
"""

from typing import NamedTuple

MAX_ANSWER_BYTES = 1024 * 1024

_ANSWER, _LEASE = b"A", b"L"


class Slot(NamedTuple):
    """epochs: of all that the answer rests on, when the request began. ttl_s: how long the answer stays."""

    key: str
    epochs: bytes
    ttl_s: int

    @property
    def is_keepable(self) -> bool:
        """Whether an answer may be stored: not when Valkey did not say what the epochs are."""
        return bool(self.epochs)

    def pack(self, answer: bytes) -> bytes:
        """What is stored of an answer."""
        return b"%s%s %s" % (_ANSWER, self.epochs, answer)

    def unpack(self, entry: bytes | None) -> bytes | None:
        """The inverse of `pack`, None for anything else."""
        header = b"%s%s " % (_ANSWER, self.epochs)
        return entry[len(header) :] if entry is not None and entry.startswith(header) else None

    def lease(self, token: str) -> bytes:
        """What stands in the place of an answer that its holder is getting."""
        return b"%s%s %s" % (_LEASE, self.epochs, token.encode())

    def is_lease(self, entry: bytes | None) -> bool:
        return entry is not None and entry.startswith(b"%s%s " % (_LEASE, self.epochs))
