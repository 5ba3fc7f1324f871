"""The local directory: people prove who they are, and a stranger learns nothing (R-P1, R-L1)."""

import pytest

from ostiary.core.decision import Refusal
from ostiary.core.errors import InvalidConfig, NotFound
from ostiary.identity.tokens import SESSION_TYPE, USER_TYPE
from tests.support.identity import crashed, identity, presented

PASSWORD = "correct horse battery"


async def test_a_password_signs_in_with_a_token_good_for_the_token_endpoint_only() -> None:
    here = await identity()
    await here.directory.set_password("alice", PASSWORD, by="operator")
    signed_in = await here.directory.sign_in("alice", PASSWORD, presented("", "login"))
    assert not isinstance(signed_in, Refusal)
    claims = here.signer.verify(signed_in.token, USER_TYPE)
    assert not isinstance(claims, Refusal)
    assert claims["sub"] == "alice"
    assert isinstance(here.signer.verify(signed_in.token, SESSION_TYPE), Refusal)
    assert isinstance(await here.sessions.authenticate(presented(signed_in.token)), Refusal)
    assert PASSWORD.encode() not in b"".join(here.memory.documents.values())
    await here.stop()


async def test_a_wrong_password_and_an_unknown_name_look_alike() -> None:
    here = await identity()
    await here.directory.set_password("alice", PASSWORD, by="operator")
    refusals = [await here.directory.sign_in(user, "wrong password", presented("", "login")) for user in ("alice", "bob", "nobody")]
    assert len({(r.code, r.status, r.detail, r.remedy) for r in refusals if isinstance(r, Refusal)}) == 1
    assert [entry.decision for entry in here.memory.entries[-3:]] == ["deny"] * 3
    await here.stop()


async def test_guessing_is_slowed_where_it_happens_and_does_not_lock_the_person_out() -> None:
    here = await identity()
    await here.directory.set_password("alice", PASSWORD, by="operator")
    guesses = [await here.directory.sign_in("alice", f"guess {n}", presented("", "login", "10.0.0.9")) for n in range(12)]
    last = guesses[-1]
    assert isinstance(last, Refusal)
    assert (last.code, last.status) == ("rate_limited", 429)
    assert not isinstance(await here.directory.sign_in("alice", PASSWORD, presented("", "login", "10.0.0.1")), Refusal)
    here.memory.clock.at_s += 301
    assert not isinstance(await here.directory.sign_in("alice", PASSWORD, presented("", "login", "10.0.0.9")), Refusal)
    await here.stop()


async def test_a_link_works_once_and_not_late() -> None:
    here = await identity()
    link = await here.directory.issue_link("alice", by="operator", ttl_s=60)
    signed_in = await here.directory.use_link(link, presented("", "login"))
    assert not isinstance(signed_in, Refusal)
    assert signed_in.user == "alice"
    assert isinstance(await here.directory.use_link(link, presented("", "login")), Refusal)
    late = await here.directory.issue_link("alice", by="operator", ttl_s=60)
    here.memory.clock.at_s += 61
    assert isinstance(await here.directory.use_link(late, presented("", "login")), Refusal)
    again = await identity(crashed(here.memory))
    assert isinstance(await again.directory.use_link(link, presented("", "login")), Refusal)
    await here.stop()
    await again.stop()


async def test_a_name_alone_is_believed_only_in_development() -> None:
    here, dev = await identity(), await identity(dev=True)
    assert isinstance(await here.directory.sign_in_for_development("alice", presented("", "login")), Refusal)
    assert not isinstance(await dev.directory.sign_in_for_development("alice", presented("", "login")), Refusal)
    assert isinstance(await dev.directory.sign_in_for_development("nobody", presented("", "login")), Refusal)
    await here.stop()
    await dev.stop()


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
async def test_passwords_have_bounds(password: str) -> None:
    here = await identity()
    with pytest.raises(InvalidConfig):
        await here.directory.set_password("alice", password, by="operator")
    with pytest.raises(NotFound):
        await here.directory.set_password("nobody", PASSWORD, by="operator")
    await here.stop()
