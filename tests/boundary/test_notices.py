"""`@notify`: somebody is told, in every place that shows it, and the action goes on (R-P3)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
from openai import AsyncOpenAI

from ostiary.app import open_gateway
from ostiary.core.registry import Agent, Model, User
from ostiary.core.subject import Status
from ostiary.governance.registrar import RegistryChange
from ostiary.identity.credentials import Opened
from ostiary.identity.lending import Ask
from ostiary.settings import Settings
from tests.support.listening import listening
from tests.support.model_upstream import KEY, ModelUpstream

POLICY = '@id("readers-ask") @notify("security") permit (principal in Role::"reader", action == Action::"generate", resource);'


async def test_a_notice_reaches_the_api_and_the_metrics(tmp_path: Path) -> None:
    agent = Agent("bot", owner="alice", purpose="reads", roles=frozenset({"reader"}), model="gpt")
    async with listening(ModelUpstream()) as upstream, open_gateway(Settings.load(environ={}), tmp_path) as gateway:
        services = gateway.services
        things: dict[str, Any] = {
            "users": User("alice", roles=frozenset({"reader"})),
            "models": Model("gpt", "openai", f"http://{upstream}/v1", credential="provider"),
            "agents": replace(agent, status=Status.ACTIVE, reviewed=agent.manifest),
        }
        await services.registrar.change([RegistryChange(noun, thing.name, thing) for noun, thing in things.items()], by="operator")
        await services.secrets.set("provider", KEY, by="operator")
        await services.policies.apply({"test.cedar": POLICY}, "operator", "test")
        opened = await services.sessions.open(Ask("bot", "alice", ("model:gpt",), "say hello"))
        assert isinstance(opened, Opened)
        auditor = await services.keys.issue_operator_key("ann", frozenset({"auditor"}), by="operator")
        async with listening(gateway.edge) as address, httpx2.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
            async with AsyncOpenAI(base_url=f"http://{address}/openai/v1", api_key=opened.token, max_retries=0) as model:
                ask = model.chat.completions.with_raw_response.create
                answer = await ask(model="gpt", messages=[{"role": "user", "content": "hello"}])
            page = await client.get("/v1/notices?group=security", headers={"authorization": f"Bearer {auditor.secret}"})
            (notice,) = page.json()["items"]
            assert (notice["decision"], notice["agent"], notice["policies"]) == (
                answer.headers["x-ostiary-decision"],
                "bot",
                ["readers-ask"],
            )
            assert 'ostiary_notices_total{group="security"} 1.0' in (await client.get("/metrics")).text
