"""What an address of an upstream may look like when somebody writes it down."""

from urllib.parse import urlsplit

from ostiary.settings import is_loopback


def url_problem(url: str, unsafe_plaintext: bool) -> str:
    """Return what is wrong with the address of an upstream, or nothing."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "has characters that do not belong in an address"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"is not an address: `{url[:120]}`"
    if parts.scheme not in {"http", "https"} or not host:
        return f"must be an http:// or https:// address, got `{url[:120]}`"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or password: seal them with ostiary secret set"
    if parts.fragment or "#" in url:
        return "must not have a fragment"
    if parts.scheme == "http" and not unsafe_plaintext and not is_loopback(host):
        return f"is plain text to `{host}`: use https, or declare `unsafe_plaintext: true`"
    return ""
