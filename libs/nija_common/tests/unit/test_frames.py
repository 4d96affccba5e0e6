"""A frame's bytes are those that an independent implementation of RFC 6455 writes, and reads, at every class of length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from nija_common.values.frames import text_frame, text_in

EDGES = (0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 200_000)


@pytest.mark.parametrize("size", EDGES)
def test_every_class_of_length_is_written_as_others_write_it(size: int) -> None:
    text = b"x" * size
    assert text_frame(text) == Frame(Opcode.TEXT, text).serialize(mask=False)
    assert text_in(text_frame(text)) == text


def read(data: bytes) -> list[bytes]:
    """The texts of whole frames, one after the other, read by the other implementation."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    found: list[bytes] = []
    while True:
        at_eof = reader.at_eof()
        try:
            next(at_eof)
        except StopIteration as end:
            if end.value:
                return found
        parsing = Frame.parse(reader.read_exact, mask=False)
        try:
            next(parsing)
        except StopIteration as end:
            assert end.value.opcode is Opcode.TEXT
            assert end.value.fin
            found.append(bytes(end.value.data))


@given(st.lists(st.binary(max_size=300) | st.sampled_from([b"y" * size for size in EDGES]), max_size=6))
def test_many_frames_in_one_write_are_read_as_the_same_texts(texts: list[bytes]) -> None:
    assert read(b"".join(map(text_frame, texts))) == texts
