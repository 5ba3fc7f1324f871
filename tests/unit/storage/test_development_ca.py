"""`up` can listen beyond loopback in development without plain text, and without keeping a key that could vouch for others."""

import ssl
import stat
from pathlib import Path

from ostiary.storage.development_ca import issue


def test_the_certificate_is_good_for_its_hosts_and_kept_while_it_fits(tmp_path: Path) -> None:
    chain, key, ca = issue(tmp_path, ["127.0.0.1", "gate.example"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key)
    client = ssl.create_default_context(cafile=str(ca))
    assert _handshake(client, server, "gate.example") == ""
    assert "certificate verify failed" in _handshake(client, server, "evil.example")
    assert "certificate verify failed" in _handshake(ssl.create_default_context(), server, "gate.example")
    first = chain.read_bytes()
    assert issue(tmp_path, ["127.0.0.1", "gate.example"])[0].read_bytes() == first
    assert issue(tmp_path, ["127.0.0.1", "other.example"])[0].read_bytes() != first


def test_no_ca_key_is_left_behind(tmp_path: Path) -> None:
    issue(tmp_path, ["localhost"])
    keys = [path for path in tmp_path.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert [path.name for path in keys] == ["server.key"]
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> str:
    """Do a TLS handshake in memory; return what the client says against it."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return str(error)
    return ""
