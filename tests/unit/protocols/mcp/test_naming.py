"""Names on the door to all servers."""

from hypothesis import given
from hypothesis import strategies as st

from ostiary.protocols.mcp.naming import candidates, joined, joined_uri, relabelled, split_uri

NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,20}", fullmatch=True)


@given(NAME, st.text(min_size=1, max_size=30))
def test_a_joined_name_means_its_server(server: str, name: str) -> None:
    """R-B5: whatever the tool is called, its own server is among the readings."""
    assert (server, name) in candidates({server: None}, joined(server, name))


def test_every_reading_is_found() -> None:
    """R-B5: so that an ambiguity can be refused."""
    assert candidates({"a": None, "a__b": None}, "a__b__c") == [("a", "b__c"), ("a__b", "c")]
    assert candidates({"a": None}, "b__c") == []


@given(NAME, st.text(min_size=1, max_size=60))
def test_addresses_come_back(server: str, uri: str) -> None:
    """R-B5: an address of the common door holds the server's own, unchanged."""
    assert split_uri(joined_uri(server, uri)) == (server, uri)


def test_addresses_in_results_are_made_the_doors() -> None:
    """R-B5: links, embedded resources and prompts alike; structured content is left alone."""
    result = {
        "content": [{"type": "resource_link", "uri": "a:b"}, {"type": "resource", "resource": {"uri": "c:d", "text": "uri"}}],
        "messages": [{"role": "user", "content": {"type": "resource", "resource": {"uri": "e:f"}}}],
        "structuredContent": {"uri": "g:h"},
    }
    assert relabelled("s", result) == {
        "content": [
            {"type": "resource_link", "uri": "ostiary://s/a:b"},
            {"type": "resource", "resource": {"uri": "ostiary://s/c:d", "text": "uri"}},
        ],
        "messages": [{"role": "user", "content": {"type": "resource", "resource": {"uri": "ostiary://s/e:f"}}}],
        "structuredContent": {"uri": "g:h"},
    }
