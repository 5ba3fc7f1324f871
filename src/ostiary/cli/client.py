"""Speaks to a gateway's control API, with nothing but the standard library so that commands start at once."""

import http.client
import json
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ostiary.core.errors import InvalidConfig, OstiaryError, Unavailable

CONNECT_S = 5.0
READ_S = 120.0
MAX_ANSWER = 64 * 1024 * 1024
KEY_FILE = "operator.key"
ADDRESS_FILE = "gateway.json"
ID = re.compile(r"[0-9a-f]{32}")
DEFAULT_DATA = "ostiary-data"
DEFAULT_URL = "http://127.0.0.1:8470"


@dataclass
class Place:
    """Which gateway the commands of this run speak to: `--data`, `--url`, or what the environment says."""

    data: Path = Path(DEFAULT_DATA)
    url: str = ""


place = Place()
"""Set once by `ostiary.cli.main` from the global options."""


class Answered(OstiaryError):
    """The gateway answered, and not with yes. `problem` is its problem details."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        detail = str(problem.get("detail") or f"the gateway answered {status}")
        remedy = str(problem.get("remedy") or "")
        # Where there is none, the wire says once more what the code means: nothing to do.
        remedy = "" if remedy == problem.get("title") else remedy
        super().__init__(detail, code=str(problem.get("code", "unavailable")), status=status, remedy=remedy)
        self.problem = problem


class Client:
    """One connection to one gateway, as one operator."""

    def __init__(self, url: str, token: str, ca_file: Path | None = None) -> None:
        from ostiary.settings import is_loopback

        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidConfig(f"`{url}` is not the address of a gateway", remedy="give it as http://host:port or https://host:port")
        self._is_here = is_loopback(parts.hostname)
        if parts.scheme == "http" and not self._is_here:
            raise InvalidConfig(f"`{url}` is plain text beyond this machine, and the key would travel with it", remedy="use https")
        self.url = url.rstrip("/")
        self._parts = parts
        self._token = token
        self._ca_file = ca_file

    @classmethod
    def of_place(cls) -> "Client":
        """Return the client for where the command line points. Raises InvalidConfig when there is no key."""
        token = os.environ.get("OSTIARY_TOKEN", "")
        elsewhere = place.url or os.environ.get("OSTIARY_URL", "")
        url, ca_file = (elsewhere, os.environ.get("OSTIARY_CA", "")) if elsewhere else _address(place.data)
        client = cls(url, token, Path(ca_file) if ca_file else None)
        if token:
            return client
        if elsewhere and not client._is_here:
            # The key in the data directory is of this machine's gateway: it is not sent to wherever a URL points.
            raise InvalidConfig(f"there is no key for `{url}`", remedy="set OSTIARY_TOKEN to an operator key of that gateway")
        client._token = _key(place.data)
        return client

    def get(self, path: str, **query: Any) -> Any:
        """Return the answer to a GET. Raises Answered, Unavailable."""
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Any, **query: Any) -> Any:
        """Return the answer to a POST. Raises Answered, Unavailable."""
        return self.call("POST", path, body, query=query)

    def put(self, path: str, body: Any, **query: Any) -> Any:
        """Return the answer to a PUT. Raises Answered, Unavailable."""
        return self.call("PUT", path, body, query=query)

    def delete(self, path: str, **query: Any) -> Any:
        """Carry out a DELETE. Raises Answered, Unavailable."""
        return self.call("DELETE", path, query=query)

    def call(self, method: str, path: str, body: Any = None, *, query: dict[str, Any] | None = None) -> Any:
        """Send one request and return its JSON answer, or its text. Raises Answered, Unavailable."""
        with self._sent(method, path, body, query or {}) as answer:
            raw = answer.read(MAX_ANSWER + 1)
            if len(raw) > MAX_ANSWER:
                raise Unavailable(f"the answer is over {MAX_ANSWER} bytes")
            _check(answer, raw)
            return _decoded(answer, raw)

    def pages(self, path: str, *, limit: int | None = None, **query: Any) -> Iterator[Any]:
        """Iterate a list over all its pages, at most `limit` items."""
        seen, after = 0, None
        while limit is None or seen < limit:
            wanted = 500 if limit is None else min(500, limit - seen)
            page = self.get(path, limit=wanted, after=after, **query)
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise Unavailable("the gateway's answer is not a list; is it a gateway?")
            yield from page["items"]
            seen += len(page["items"])
            if page.get("next") in (None, after) or not page["items"]:
                return
            after = page["next"]

    def lines(self, method: str, path: str, body: Any = None, **query: Any) -> Iterator[bytes]:
        """Iterate the lines of an answer as they come. Raises Answered, Unavailable."""
        with self._sent(method, path, body, query, read_s=None if method == "GET" else READ_S) as answer:
            if answer.status >= 400:
                _check(answer, answer.read(MAX_ANSWER))
            while line := answer.readline():
                yield line

    @contextmanager
    def _sent(
        self, method: str, path: str, body: Any, query: dict[str, Any], read_s: float | None = READ_S
    ) -> Iterator[http.client.HTTPResponse]:
        """Send one request on a connection of its own; every way it can fail is one plain sentence."""
        asked = {key: _text(value) for key, value in query.items() if value is not None and value != ""}
        target = path + (f"?{urlencode(asked)}" if asked else "")
        headers = {"authorization": f"Bearer {self._token}", "accept": "application/json", "connection": "close"}
        payload = None
        if body is not None:
            payload = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogateescape")
            headers["content-type"] = "application/json"
        with closing(self._connection()) as connection:
            try:
                connection.connect()
                connection.sock.settimeout(read_s)
                connection.request(method, target, payload, headers)
                with closing(connection.getresponse()) as answer:
                    yield answer
            except ssl.SSLError as error:
                raise Unavailable(f"the gateway at {self.url} is not trusted: {error.reason}", remedy="check its certificate") from None
            except (OSError, http.client.HTTPException) as error:
                why = getattr(error, "strerror", None) or str(error) or type(error).__name__
                start = f"start it: ostiary up --data {place.data}"
                raise Unavailable(f"no gateway answers at {self.url}: {why.lower()}", remedy=start) from None

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=CONNECT_S)
        context = ssl.create_default_context()
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)
            # The gateway on this machine names its own certificate, which need not come from an authority we know.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return http.client.HTTPSConnection(host, port, timeout=CONNECT_S, context=context)


def segment(text: str) -> str:
    """Return a name as one segment of a path."""
    return quote(text, safe="")


def identifier(text: str, what: str, listed_by: str) -> str:
    """Return an id as one segment of a path. Raises InvalidConfig for what can be none."""
    if not ID.fullmatch(text):
        raise InvalidConfig(f"`{text[:64]}` is not the id of {what}: that is 32 hex digits", remedy=listed_by)
    return text


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _decoded(answer: http.client.HTTPResponse, raw: bytes) -> Any:
    if not raw:
        return None
    if "json" not in (answer.headers.get("content-type") or ""):
        return raw.decode("utf-8", "replace")
    try:
        return json.loads(raw)
    except ValueError:
        raise Unavailable("the gateway's answer is not JSON; is it a gateway?") from None


def _check(answer: http.client.HTTPResponse, raw: bytes) -> None:
    if answer.status < 400:
        return
    try:
        problem = json.loads(raw)
    except ValueError:
        problem = {}
    raise Answered(answer.status, problem if isinstance(problem, dict) else {})


def _address(data: Path) -> tuple[str, str]:
    """Return where the gateway of a data directory listens, and the file of its development CA, as it wrote down itself."""
    try:
        found = json.loads((data / ADDRESS_FILE).read_text("utf-8"))
        # One that listens everywhere is reached by the name of here.
        url = str(found["url"]).replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//localhost:")
        return url, str(found.get("ca") or "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return DEFAULT_URL, ""


def _key(data: Path) -> str:
    path = data / KEY_FILE
    try:
        if path.stat().st_mode & 0o077:
            raise InvalidConfig(f"`{path}` can be read by others", remedy=f"chmod 600 {path}; and make a new key if somebody may have")
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        raise Unavailable(
            f"there is no operator key at `{path}`",
            remedy="start a gateway (ostiary up), name its data directory (--data DIR), or set OSTIARY_URL and OSTIARY_TOKEN",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"`{path}` cannot be read: {error}") from None
