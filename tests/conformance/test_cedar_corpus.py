"""Cedar's own conformance corpus, asked through our wrapper: whole, sliced and pruned, as the engine asks."""

import json
import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cedarpy import _internal as cedar_internal
from cedarpy import pst

from ostiary.policy import cedar
from ostiary.policy.entities import Uid
from ostiary.policy.reading import mentions
from ostiary.policy.slicing import covers

SHARED = Path(os.environ.get("OSTIARY_SHARED", Path(__file__).parents[2].parent / "shared"))
CORPUS = SHARED / "data" / "cedar"
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the Cedar corpus is not next to the checkout")


@dataclass(frozen=True, slots=True)
class Suite:
    """One test of the corpus."""

    name: str
    policies: str
    schema: str
    entities: list[Any]
    requests: list[dict[str, Any]]
    should_validate: bool


def handwritten() -> Iterator[Suite]:
    for file in sorted((CORPUS / "tests").rglob("*.json")):
        yield suite(str(file.relative_to(CORPUS)), json.loads(file.read_text("utf-8")), lambda path: (CORPUS / path).read_bytes())


def generated() -> Iterator[Suite]:
    with tarfile.open(CORPUS / "corpus-tests.tar.gz") as archive:
        files = {member.name: found.read() for member in archive if member.isfile() and (found := archive.extractfile(member)) is not None}
    for name, body in files.items():
        if name.endswith(".json") and not name.endswith(".entities.json"):
            yield suite(name, json.loads(body), files.__getitem__)


def suite(name: str, body: Mapping[str, Any], read: Any) -> Suite:
    policies, schema = read(body["policies"]).decode(), read(body["schema"]).decode()
    return Suite(name, policies, schema, json.loads(read(body["entities"])), body["requests"], body["shouldValidate"])


def uid(value: Mapping[str, Any]) -> Uid:
    plain = value.get("__entity", value)
    return plain["type"], plain["id"]


class Asked:
    """One suite's handles, and the question put in each of the engine's ways."""

    def __init__(self, test: Suite) -> None:
        self.schema = cedar_internal.Schema.from_str(test.schema)
        self.entities = cedar_internal.Entities.from_json_str(json.dumps(test.entities), self.schema)
        self.whole = cedar_internal.PolicySet.from_str(test.policies)
        self.nodes = self._nodes(test.policies)
        self._parents = {uid(each["uid"]): {uid(parent) for parent in each["parents"]} for each in test.entities}
        self._slices: dict[tuple[str, ...], Any] = {}
        self._mentions: dict[str, frozenset[tuple[str, ...]]] = {}

    @staticmethod
    def _nodes(text: str) -> Mapping[str, pst.Template]:
        """The policies as typed nodes; none when they hold something that our loading would refuse (wrong arity, nesting)."""
        try:
            return cedar_internal.policies_to_pst(text).static_policies
        except ValueError:
            return {}

    def within(self, entity: Uid) -> frozenset[Uid]:
        found, pending = {entity}, [entity]
        while pending:
            fresh = self._parents.get(pending.pop(), set()) - found
            found |= fresh
            pending.extend(fresh)
        return frozenset(found)

    def mentioned(self, name: str) -> frozenset[tuple[str, ...]]:
        """The context paths of one policy, found once."""
        if name not in self._mentions:
            self._mentions[name] = frozenset(mentions(self.nodes[name]))
        return self._mentions[name]

    def sliced(self, question: cedar.Question) -> cedar.Answer:
        """Ask only the policies whose scope matches, with only the context they mention."""
        above, below = self.within(question.principal), self.within(question.resource)
        names = tuple(
            name
            for name, node in self.nodes.items()
            if covers(node.principal, question.principal, above) and covers(node.resource, question.resource, below)
        )
        if names not in self._slices:
            self._slices[names] = cedar_internal.PolicySet.from_pst(pst.PolicySet({}, {name: self.nodes[name] for name in names}, ()))
        paths = {path for name in names for path in self.mentioned(name)}
        kept = json.loads(question.context)
        if () not in paths:
            kept = {key: value for key, value in kept.items() if key in {path[0] for path in paths}}
        return cedar.evaluate(self._slices[names], self.entities, question._replace(context=json.dumps(kept)))


def check(suites: Iterator[Suite]) -> Counter[str]:
    """Ask every request; returns how many were asked in which way. Fails with what differs."""
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    for test in suites:
        asked = Asked(test)
        valid = json.loads(cedar_internal.validate_policies(test.policies, asked.schema))["validation_passed"]
        seen["validated"] += 1
        if valid != test.should_validate:
            wrong.append(f"{test.name}: validation is {valid}")
        for request in test.requests:
            question = cedar.Question(
                uid(request["principal"]), request["action"]["id"], uid(request["resource"]), json.dumps(request["context"])
            )
            if request["action"]["type"] != "Action":
                seen["namespaced"] += 1
                answer = namespaced(asked, request)
            else:
                answer = cedar.evaluate(asked.whole, asked.entities, question)
                if asked.nodes:
                    seen["sliced"] += 1
                    wrong.extend(differences(test, request, asked.sliced(question), " sliced"))
            seen["asked"] += 1
            wrong.extend(differences(test, request, answer, ""))
    assert not wrong, f"{len(wrong)} differ, as {wrong[:5]}"
    return seen


def namespaced(asked: Asked, request: Mapping[str, Any]) -> cedar.Answer:
    """Our actions have no namespace; the corpus' may: ask Cedar as the wrapper does."""
    parts = {"principal": request["principal"], "action": request["action"], "resource": request["resource"]}
    body = {**parts, "context": json.dumps(request["context"])}
    found = json.loads(cedar_internal.is_authorized(body, asked.whole, asked.entities))
    said = found["diagnostics"]
    return cedar.Answer(found["decision"] == "Allow", tuple(said["reason"]), tuple(said["errors"]))


def differences(test: Suite, request: Mapping[str, Any], answer: cedar.Answer, how: str) -> Iterator[str]:
    got = (answer.is_allowed, sorted(answer.reasons), len(answer.errors))
    expected = (request["decision"] == "allow", sorted(request["reason"]), len(request["errors"]))
    if got != expected:
        yield f"{test.name} {request['description']}{how}: expected {expected}, got {got} {answer.errors}"


def test_handwritten() -> None:
    """R-P2: Cedar's handwritten suites, every request."""
    seen = check(handwritten())
    assert seen["asked"] > 50


def test_generated() -> None:
    """R-P2: all 62,472 generated requests give the decision, the reasons and the errors that Cedar's specification does."""
    seen = check(generated())
    assert seen["asked"] == 62_472
    assert seen["sliced"] > 50_000, seen
