"""What policy answers, and what a refused caller is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ostiary.core.errors import CODES, DOCS, OstiaryError
from ostiary.core.quick import quick


class Effect(StrEnum):
    """The three answers. There is no fourth."""

    ALLOW = "allow"
    DENY = "deny"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Obligation:
    """What the deciding permits demand: `redact` pii,secret · `cap` rows=100 · `label` phi · `notify` security."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """What would turn a hold into an allow (`@approval`, `@quorum`, `@expires`, `@four_eyes`)."""

    policy: str
    group: str
    quorum: int = 1
    expires_s: int = 3600
    four_eyes: frozenset[str] = frozenset()
    """Who may not approve: the `user` who lent the rights, the `owner` of any agent of the chain."""


@quick
@dataclass(frozen=True, slots=True)
class Decision:
    """One answer with its reasons. An answer with evaluation errors is never an allow."""

    effect: Effect
    code: str = ""
    """Empty for an allow; else one of `errors.CODES`."""
    policies: tuple[str, ...] = ()
    """The `@id`s that decided."""
    reasons: tuple[str, ...] = ()
    """Their `@because` texts."""
    revision: str = ""
    """Hash of the policy version that decided."""
    obligations: tuple[Obligation, ...] = ()
    approvals: tuple[ApprovalRule, ...] = ()
    """For a hold: what must be approved."""
    remedy: str = ""
    arguments: tuple[str, ...] = ()
    """The arguments whose origin decided against it."""
    shadow: str = ""
    """What would have been decided with the policies that only watch; empty where that is no other answer."""
    shadow_policies: tuple[str, ...] = ()
    """The `@id`s that would have decided it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A total answer other than yes, with everything a wire needs to say it (RFC 9457 members)."""

    code: str
    status: int
    detail: str
    policies: tuple[str, ...] = ()
    remedy: str = ""
    approval: Mapping[str, Any] | None = None
    """For `held`: `{id, url, expires_at}`."""
    retry_after_s: float | None = None
    arguments: tuple[Mapping[str, str], ...] = ()
    """What is wrong with where arguments came from: `{argument, origin, seen_in}` each."""

    def problem(self, decision: str) -> dict[str, Any]:
        """Return the problem details of this refusal; `decision` is the decision id."""
        body: dict[str, Any] = {
            "type": f"{DOCS}{self.code}",
            "title": CODES[self.code],
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "decision": decision,
            "policies": list(self.policies),
            "remedy": self.remedy or CODES[self.code],
        }
        if self.approval is not None:
            body["approval"] = dict(self.approval)
        if self.arguments:
            body["arguments"] = [dict(each) for each in self.arguments]
        return body


STATUS: dict[str, int] = {
    "no_session": 401,
    "expired": 401,
    "revoked": 401,
    "held": 202,
    "rate_limited": 429,
    "budget_spent": 429,
    "content_rejected": 422,
    "invalid_arguments": 422,
    "invalid_request": 400,
    "unknown_method": 400,
    "too_large": 413,
    "not_found": 404,
    "conflict": 409,
    "upstream_failed": 502,
    "unavailable": 503,
    "cancelled": 499,
    "tampered": 500,
}
"""HTTP status of each code; 403 for those not listed."""


def refuse(code: str, detail: str, **rest: Any) -> Refusal:
    """Return the refusal for `code` with its usual status."""
    return Refusal(code, STATUS.get(code, 403), detail, **rest)


def refusal_of(error: Exception) -> Refusal:
    """Return the refusal an exception amounts to; one we did not foresee is `unavailable` and says nothing of itself."""
    if isinstance(error, OstiaryError):
        return Refusal(error.code, error.status, error.detail, remedy=error.remedy or "")
    return refuse("unavailable", "an internal part failed, so the action was refused")


@dataclass(frozen=True, slots=True)
class Approval:
    """A human's yes to exactly one action digest, present only on the re-decision (`context.approval`)."""

    id: str
    group: str
    by: frozenset[str]
    at: float
    reason: str = ""
    also: "tuple[Approval, ...]" = ()
    """The yes of further groups, where policies of several hold the action."""

    @property
    def each(self) -> "tuple[Approval, ...]":
        """The yes of every group, each by itself."""
        return (replace(self, also=()), *self.also) if self.also else (self,)


@quick
@dataclass(frozen=True, slots=True)
class Context:
    """What a policy may look at beside principal, action and resource (POLICY.md, Context)."""

    at: float
    size: int = 0
    ip: str = "127.0.0.1"
    detected: frozenset[str] = frozenset()
    approval: Approval | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
