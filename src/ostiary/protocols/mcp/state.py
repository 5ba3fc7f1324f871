"""`requestState` of multi-round-trip calls, bound so that nobody else, and no other call, can bring it back."""

import hashlib
import hmac
import secrets

from ostiary.protocols.mcp.message import INVALID_PARAMS, Id, RpcError


class StateSeal:
    """Binds a server's state to the session, server, method and name it was given for; a restart forgets all."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def seal(self, state: str | None, *place: str) -> str:
        """Return what the client is given to bring back."""
        marked = "-" if state is None else f"+{state}"
        return f"{self._mac(marked, place)}{marked}"

    def open(self, sealed: str, *place: str, id: Id | None = None) -> str | None:  # noqa: A002
        """Return the server's own state, None when it had none. Raises RpcError for a state that was not given here."""
        mac, marked = sealed[:64], sealed[64:]
        if not hmac.compare_digest(mac.encode(), self._mac(marked, place).encode()):
            raise RpcError(INVALID_PARAMS, "`requestState` was not given for this call", id=id)
        return marked[1:] if marked.startswith("+") else None

    def _mac(self, marked: str, place: tuple[str, ...]) -> str:
        text = "\0".join((*place, marked)).encode("utf-8", "surrogatepass")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()
