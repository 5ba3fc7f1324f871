"""The model doors on the real gateway: real sessions, real policies, real controls, a real ledger; nothing is faked but the model."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from ostiary.app import Gateway, open_gateway
from ostiary.core.registry import Agent, Model, User
from ostiary.core.subject import Limits, Status
from ostiary.governance.registrar import RegistryChange
from ostiary.identity.credentials import Opened
from ostiary.identity.lending import Ask
from ostiary.settings import Settings
from tests.support.listening import listening
from tests.support.model_upstream import KEY, ModelUpstream

POLICY = """
@id("opens") permit (principal, action == Action::"open_session", resource);
@id("writers-ask") @redact("secret") permit (principal in Role::"writer", action == Action::"generate", resource);
@id("never-the-forbidden") @because("this model is closed") forbid (principal, action == Action::"generate", resource == Model::"closed");
@id("ask-security-first") @approval("security") forbid (principal, action == Action::"generate", resource == Model::"asks")
unless { context has approval && context.approval.group == "security" };
"""
pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"


@dataclass
class Running:
    """A gateway with its upstream, and one open session."""

    gateway: Gateway
    upstream: ModelUpstream
    url: str
    opened: Opened | None = None

    @property
    def token(self) -> str:
        assert self.opened is not None
        return self.opened.token

    def openai(self) -> AsyncOpenAI:
        return AsyncOpenAI(api_key=self.token, base_url=f"{self.url}/openai/v1", max_retries=0, _strict_response_validation=True)

    def anthropic(self) -> AsyncAnthropic:
        return AsyncAnthropic(api_key=self.token, base_url=f"{self.url}/anthropic", max_retries=0, _strict_response_validation=True)


def company(url: str) -> list[Any]:
    agent = Agent("writer-bot", owner="alice", purpose="writes", roles=frozenset({"writer"}), model="gpt")
    models = [Model(name, "openai", f"{url}/v1", credential="provider") for name in ("gpt", "closed", "asks")]
    return [
        User("alice", roles=frozenset({"writer"})),
        *models,
        Model("claude", "anthropic", url, upstream_name="vendor-claude", credential="provider"),
        replace(agent, status=Status.ACTIVE, reviewed=agent.manifest),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    upstream, folder = ModelUpstream(), tmp_path_factory.mktemp("gateway")
    async with listening(upstream) as at, open_gateway(Settings.load(environ={}), folder) as gateway, listening(gateway.edge) as door:
        services = gateway.services
        nouns = {User: "users", Model: "models", Agent: "agents"}
        changes = [RegistryChange(nouns[type(thing)], thing.name, thing) for thing in company(f"http://{at}")]
        await services.registrar.change(changes, by="operator")
        await services.secrets.set("provider", KEY, by="operator")
        await services.policies.apply({"test.cedar": POLICY}, "operator", "test")
        yield Running(gateway, upstream, f"http://{door}")


@pytest_asyncio.fixture(loop_scope="module")
async def at(running: Running) -> Running:
    """The gateway with a session of its own for each test."""
    running.upstream.requests.clear()
    running.upstream.left.clear()
    opened = await running.gateway.services.sessions.open(Ask("writer-bot", "alice", ("model:*",), "write a letter"))
    assert isinstance(opened, Opened)
    return replace(running, opened=opened)


def ask(text: str, model: str = "gpt", **rest: Any) -> Any:
    return {"model": model, "messages": [{"role": "user", "content": text}], **rest}


async def test_a_secret_never_reaches_a_model_nor_comes_back(at: Running) -> None:
    """R-K5: redacted in the prompt, in the answer, and in a stream that brings it in pieces."""
    async with at.openai() as sdk:
        await sdk.chat.completions.create(**ask(f"say: my token is {TOKEN}, keep it"))
        (sent,) = at.upstream.requests
        assert TOKEN not in sent["raw"].decode()
        assert sent["headers"]["authorization"] == f"Bearer {KEY}"
        pieces = "the token is ghp|_Z9y8X7w6V5|u4T3s2R1q0P9o8N7m6L5k4J3i2 of| course"
        stream = await sdk.chat.completions.create(**ask(f"say: {pieces}", stream=True))
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        assert "V5u4T3" not in text
        assert text.startswith("the token is ")
        assert text.endswith("course")


async def test_policy_decides_on_both_wires(at: Running) -> None:
    """R-P4: a forbidden, a held, an unknown and an allowed model; the reasons are the policies' own."""
    async with at.openai() as sdk, at.anthropic() as claude:
        with pytest.raises(openai.PermissionDeniedError) as closed:
            await sdk.chat.completions.create(**ask("say: x", "closed"))
        with pytest.raises(openai.PermissionDeniedError) as held:
            await sdk.chat.completions.create(**ask("say: x", "asks"))
        with pytest.raises(openai.APIStatusError) as unknown:
            await sdk.chat.completions.create(**ask("say: x", "nothing"))
        assert (closed.value.code, held.value.code) == ("forbidden", "held")
        assert closed.value.body["policies"] == ["never-the-forbidden"]  # type: ignore[index]
        assert "this model is closed" in str(closed.value)
        assert held.value.body["approval"]["id"]  # type: ignore[index]
        assert unknown.value.status_code in {403, 404}
        assert "/v1/models" in unknown.value.body["remedy"]  # type: ignore[index]
        assert not at.upstream.requests
        message = await claude.messages.create(**ask("say: hello", "claude", max_tokens=9))
        assert message.content[0].text == "hello"
        assert message.model == "claude"
        assert {model.id async for model in sdk.models.list()} <= {"gpt", "asks", "closed"}


async def test_a_held_model_answers_once_it_is_approved(at: Running) -> None:
    """R-B4: the same request, approved by another person, runs once; another, and its repetition, are held again."""
    sam = User("sam", groups=frozenset({"security"}), roles=frozenset({"security"}))
    services = at.gateway.services
    await services.registrar.change([RegistryChange("users", "sam", sam)], by="operator")
    async with at.openai() as sdk:
        with pytest.raises(openai.PermissionDeniedError) as held:
            await sdk.chat.completions.create(**ask("say: yes", "asks"))
        await services.approvals.approve(held.value.body["approval"]["id"], by="sam", reason="fine")  # type: ignore[index]
        with pytest.raises(openai.PermissionDeniedError):
            await sdk.chat.completions.create(**ask("say: something else", "asks"))
        answer = await sdk.chat.completions.create(**ask("say: yes", "asks"))
        assert answer.choices[0].message.content == "yes"
        with pytest.raises(openai.PermissionDeniedError):
            await sdk.chat.completions.create(**ask("say: yes", "asks"))
        assert len(at.upstream.requests) == 1


async def test_closing_a_session_cuts_the_streams_of_what_was_lent_from_it(at: Running) -> None:
    """R-P6: the child of a child is in the middle of an answer when its user's session is closed."""
    assert at.opened is not None
    sessions, session, token = at.gateway.services.sessions, at.opened.session, ""
    for _ in range(2):
        lent = await sessions.delegate(session, Ask("writer-bot", None, ("model:gpt",), "write the first half", limits=Limits(actions=5)))
        assert isinstance(lent, Opened), lent
        session, token = lent.session, lent.token
    async with AsyncOpenAI(api_key=token, base_url=f"{at.url}/openai/v1", max_retries=0) as sdk:
        flowing = await sdk.chat.completions.create(**ask("slow: 1000", stream=True))
        await anext(aiter(flowing))
        assert [each.state.actions for each in session.line] == [1, 1, 1]
        assert await sessions.close(at.opened.session.id, by="alice") == 2
        with pytest.raises(openai.APIError) as caught:
            async for _ in flowing:
                pass
        assert caught.value.code == "expired"
        with pytest.raises(openai.AuthenticationError):
            await sdk.chat.completions.create(**ask("say: x"))
    (intent,) = at.gateway.services.reader.search(None, limit=1, session=session.id, kind="intent")
    assert len(intent["on_behalf_of"]) == 3


async def test_bytes_of_a_stream_count_and_end_it(at: Running) -> None:
    """R-B1: a session lent few bytes gets no more of them, whole or in pieces."""
    lent = await at.gateway.services.sessions.open(Ask("writer-bot", "alice", ("model:*",), "write a letter", limits=Limits(bytes=120)))
    assert isinstance(lent, Opened)
    async with AsyncOpenAI(api_key=lent.token, base_url=f"{at.url}/openai/v1", max_retries=0) as sdk:
        with pytest.raises(openai.APIError) as caught:
            async for _ in await sdk.chat.completions.create(**ask("say: " + "|".join(["many words "] * 40), stream=True)):
                pass
        assert caught.value.code == "budget_spent"
        assert lent.session.state.bytes <= 120
        with pytest.raises(openai.APIStatusError):
            await sdk.chat.completions.create(**ask("say: " + "x" * 200))


async def test_revocation_cuts_open_streams_of_both_wires(at: Running) -> None:
    """R-S3: one flowing, one silent; each ends with an error event."""
    async with at.openai() as sdk, at.anthropic() as claude:
        flowing = await sdk.chat.completions.create(**ask("slow: 1000", stream=True))
        silent = await claude.messages.create(**ask("silent:", "claude", max_tokens=9, stream=True))
        await anext(aiter(flowing))
        await anext(aiter(silent))
        assert at.opened is not None
        await at.gateway.services.sessions.revoke(at.opened.session.id, by="operator")
        with pytest.raises(openai.APIError) as first:
            async for _ in flowing:
                pass
        with pytest.raises(anthropic.APIStatusError) as second:
            async for _ in silent:
                pass
        assert first.value.code == "revoked"
        assert second.value.body["error"]["code"] == "revoked"  # type: ignore[index]
        with pytest.raises(openai.AuthenticationError):
            await sdk.chat.completions.create(**ask("say: x"))
        assert await asyncio.to_thread(at.upstream.left.wait, 5)
