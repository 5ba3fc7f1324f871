"""Server-sent events, read in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.core.errors import UpstreamUnavailable
from ostiary.protocols.mcp import events
from ostiary.protocols.mcp.events import EventReader

STREAM = b'id: 1\r\nretry: 50\r\ndata: \r\n\r\n: comment\n\nevent: message\nid: 2\ndata: {"a":\ndata:1}\n\ndata: {"b":2}\n\n'


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_pieces_do_not_matter(cuts: list[int]) -> None:
    """R-B5: wherever the stream is cut, the same events come out."""
    reader, found, last = EventReader(), list[bytes](), 0
    for cut in [*sorted(cuts), len(STREAM)]:
        found += reader.feed(STREAM[last:cut])
        last = cut
    assert found == [b'{"a":\n1}', b'{"b":2}']
    assert (reader.last_id, reader.retry_ms) == ("2", 50)


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B5: memory is bounded, with and without line ends."""
    monkeypatch.setattr(events, "MAX_EVENT", 1000)
    for piece in (b"data: " + b"a" * 300, b"data: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"):
        reader = EventReader()
        with pytest.raises(UpstreamUnavailable):
            _feed_often(reader, piece)


def _feed_often(reader: EventReader, piece: bytes) -> None:
    for _ in range(100):
        reader.feed(piece)


def test_too_many_events_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B5: a stream does not go on for ever."""
    monkeypatch.setattr(events, "MAX_EVENTS", 10)
    with pytest.raises(UpstreamUnavailable):
        EventReader().feed(b"data: 1\n\n" * 11)


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a b\x00", b"\xff", b"a" * 2000])
def test_an_id_that_is_no_header_value_is_not_kept(value: bytes) -> None:
    """R-B5: it would be sent back to the server as `Last-Event-ID`."""
    reader = EventReader()
    reader.feed(b"id: " + value + b"\ndata: 1\n\n")
    assert all(" " < letter <= "~" for letter in reader.last_id)
    assert len(reader.last_id) < 1024
