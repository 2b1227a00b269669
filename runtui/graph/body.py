"""Unpacking the body of an answer without trusting it.

Invariant: never more than the limit is held, whatever the compressed bytes claim.
"""

from __future__ import annotations

import zlib

from runtui.graph.exchange import FailureKind

_GZIP_WINDOW_BITS = 31


class BodyError(Exception):
    """A body that cannot be read to its end: `kind` and one sentence."""

    def __init__(self, kind: FailureKind, what: str) -> None:
        super().__init__(what)
        self.kind = kind


class BoundedBody:
    """Collects the raw chunks of a body, plain or as a single gzip stream, up to `limit` unpacked bytes.

    Raises BodyError when another Content-Encoding is named: nothing else is asked for, and layers of compression
    are how a few bytes become gigabytes.
    """

    def __init__(self, content_encoding: str, limit: int) -> None:
        encoding = content_encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise BodyError(FailureKind.ENCODING, f"The answer is packed as {encoding!r}, which was not asked for.")
        self._limit = limit
        self._unpacker = zlib.decompressobj(_GZIP_WINDOW_BITS) if "gzip" in encoding else None
        self._data = bytearray()
        self.truncated = False

    @property
    def data(self) -> bytes:
        """What was read so far, unpacked."""
        return bytes(self._data)

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk; BodyError when it is no gzip or the limit is passed."""
        room = self._limit - len(self._data)
        if self._unpacker is not None:
            chunk = self._unpack(self._unpacker, chunk, room + 1)
        self._data += chunk[:room]
        if len(chunk) > room:
            self.truncated = True
            size = f"{self._limit / 1024 / 1024:g} MiB"
            raise BodyError(FailureKind.TOO_LARGE, f"The answer is larger than {size}; the rest was not read.")

    def finish(self) -> None:
        """Say that the body is over; BodyError when its gzip stream is not."""
        if self._unpacker is not None and not self._unpacker.eof:
            raise BodyError(FailureKind.CUT, "The compressed answer ended before it was complete.")

    @staticmethod
    def _unpack(unpacker: zlib._Decompress, chunk: bytes, at_most: int) -> bytes:
        try:
            unpacked = unpacker.decompress(chunk, at_most)
        except zlib.error:
            raise BodyError(FailureKind.ENCODING, "The answer says it is gzip, and is not.") from None
        if unpacker.unused_data:
            raise BodyError(FailureKind.ENCODING, "Something follows the compressed answer.")
        return unpacked
