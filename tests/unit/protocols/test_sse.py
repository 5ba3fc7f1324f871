"""Server-sent events at every cut and to every bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.core.errors import UpstreamUnavailable
from ostiary.protocols.sse import MAX_EVENT, SseReader, data_event, decode_event, named_event


def read(raw: bytes, size: int = 10_000) -> list[tuple[str, bytes]]:
    reader = SseReader()
    return [event for start in range(0, len(raw), size) for event in reader.feed(raw[start : start + size])]


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (b"data: a\n\n", [("", b"a")]),
        (b"data:a\r\n\r\n", [("", b"a")]),
        (b"data:  a\n\n", [("", b" a")]),
        (b"data: a\ndata: b\n\n", [("", b"a\nb")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [("x", b"a"), ("", b"b")]),
        (b": comment\nid: 5\nretry: 9\ndata: a\n\n", [("", b"a")]),
        (b"event: x\n\n", []),
        (b"\n\n\n", []),
        (b"data: unfinished\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
        (b"data\n\ndatax: b\n\n", []),
        (b"data:\n\n", [("", b"")]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 10_000])
def test_events(raw: bytes, events: list[tuple[str, bytes]], size: int) -> None:
    """HTML Living Standard section 9.2.6, wherever the stream is cut."""
    assert read(raw, size) == events


@given(st.lists(st.dictionaries(st.text(), st.text())), st.integers(1, 50))
def test_what_is_written_is_read(values: list[dict[str, str]], size: int) -> None:
    """Whatever text is in a value, it stays one event."""
    raw = b"".join(map(data_event, values)) + named_event("end", {})
    events = read(raw, size)
    assert [decode_event(data) for _, data in events[:-1]] == values
    assert events[-1] == ("end", b"{}")


@pytest.mark.parametrize("raw", [b"data: " + b"x" * MAX_EVENT, b"x" * (MAX_EVENT + 1), b"data: xxxx\n" * (MAX_EVENT // 4)])
def test_nothing_is_endless(raw: bytes) -> None:
    """Issue 3 section 9: a line and an event have an end."""
    with pytest.raises(UpstreamUnavailable):
        read(raw + b"\n", 65536)
