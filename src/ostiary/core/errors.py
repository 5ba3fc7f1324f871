"""What can go wrong, by whose fault, and the code a caller sees.

Inside the gateway a refusal is a value (`core.decision.Refusal`); these exceptions live at the edges.
"""

from typing import ClassVar

DOCS = "https://ostiary.dev/docs/errors#"

CODES: dict[str, str] = {
    "no_session": "no credential, or one that opens no session here: get a session token at /oauth/token",
    "expired": "the session, key or approval is past its end: open a new one",
    "revoked": "the session, key, agent or user was revoked",
    "not_granted": "no policy permits it: default deny",
    "out_of_scope": "the session was not lent this: the user can lend a wider scope",
    "forbidden": "a policy forbids it",
    "held": "a human must approve it first",
    "untrusted_argument": "an argument that decides where the effect goes came from somebody's text",
    "invalid_arguments": "the arguments do not fit the tool's schema",
    "invalid_request": "the request is not well formed",
    "too_large": "the request or answer is over a size limit",
    "content_rejected": "a content control refused the text",
    "rate_limited": "too many actions in the time allowed",
    "budget_spent": "the session's budget is used up",
    "isolated": "the agent is isolated or not active: its owner or security can restore it",
    "quarantined": "the tool's definition changed or looks hostile: an operator must accept it",
    "unknown_method": "this wire has no such method here",
    "not_found": "no such thing, or none you may see",
    "conflict": "it exists already, or changed meanwhile",
    "cancelled": "the caller went away before the answer was complete",
    "upstream_failed": "the upstream could not be reached, lied, or failed",
    "unavailable": "a part the decision needs is not working: nothing is allowed without it",
    "tampered": "the ledger does not match its proofs",
}
"""Every code a refusal can carry, with what it means to the caller."""


class OstiaryError(Exception):
    """Anything this product raises on purpose. `str(error)` is one plain sentence."""

    code: ClassVar[str] = "unavailable"
    status: ClassVar[int] = 500

    def __init__(self, detail: str, *, code: str | None = None, status: int | None = None, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy
        if code is not None:
            self.code = code  # type: ignore[misc]
        if status is not None:
            self.status = status  # type: ignore[misc]

    def diagnostics(self) -> str:
        """Return what a person needs to mend it: the sentence, what to do, where to read on."""
        lines = [self.detail, *([f"to do: {self.remedy}"] if self.remedy else []), f"more: {DOCS}{self.code}"]
        return "\n".join(lines)


class Invalid(OstiaryError):
    """The asker's fault; says what to change."""

    code, status = "invalid_request", 400


class InvalidAction(Invalid):
    """A request that is not well formed."""


class InvalidPolicy(Invalid):
    """A policy that does not parse, validate or keep the vocabulary."""


class InvalidConfig(Invalid):
    """A setting, declaration or command line that cannot be used."""


class NotFound(Invalid):
    """Nothing by that name, or nothing the asker may see."""

    code, status = "not_found", 404


class Conflict(Invalid):
    """It exists already, or changed since it was read."""

    code, status = "conflict", 409


class Unavailable(OstiaryError):
    """A part is not working; refused, may be retried."""

    code, status = "unavailable", 503


class LedgerUnavailable(Unavailable):
    """The ledger cannot write: no receipt, no execution."""


class EngineUnavailable(Unavailable):
    """The policy engine cannot decide."""


class UpstreamUnavailable(Unavailable):
    """The upstream could not be reached or broke its protocol."""

    code, status = "upstream_failed", 502


class Corrupt(OstiaryError):
    """Stored evidence contradicts itself: stop, call a human."""

    code = "tampered"


class LedgerTampered(Corrupt):
    """An entry, its order or a sealed part is not what was recorded."""


class CheckpointMismatch(Corrupt):
    """The tree does not contain a checkpoint that was released."""
