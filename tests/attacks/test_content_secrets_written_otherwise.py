"""A secret is found however its assignment is written: other signs, escapes, look-alike letters, hidden characters, half a key."""

import json
import random
import string
import time
from typing import Any

import pytest

from ostiary.controls.scanner import Scanner
from ostiary.controls.secrets import shipped
from tests.support.controls import controls, passage

_RANDOM = random.Random(41)
SCANNER = Scanner(shipped())


def drawn(size: int, letters: str = string.ascii_lowercase + string.digits) -> str:
    """Return a value with letters and digits in turn, so that it looks like a key and stands in no file."""
    return "".join(_RANDOM.choice(string.digits if at % 3 == 1 else letters) for at in range(size))


def hexes(size: int) -> str:
    return _RANDOM.randbytes(size).hex()[:size]


def wide(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if char.isalnum() else char for char in text)


DROPBOX, AIRTABLE, LOOKER, DATADOG = drawn(15), drawn(17), drawn(24), drawn(40)
LINEAR = hexes(32)
KEY = "\n".join("MII" + drawn(61, string.ascii_letters) for _ in range(6))
UUID = f"{hexes(8)}-{hexes(4)}-{hexes(4)}-{hexes(4)}-{hexes(12)}"

WRITINGS = {
    "plain": f"DROPBOX_TOKEN={DROPBOX}",
    "in back quotes": f"airtable key: `{AIRTABLE}`",
    "an arrow": f"'looker_client_secret' => '{LOOKER}',",
    "a default": f"DATADOG_KEY ?= {DATADOG}",
    "or": f"process.env.DATADOG_KEY || '{DATADOG}'",
    "Go": f'linearSecret := "{LINEAR}"',
    "tabs": f"linear.secret\t:\t{LINEAR}",
    "value on the next line": f"datadog_key:\n    {DATADOG}\n",
    "JSON": json.dumps({"linear_secret": LINEAR}),
    "JSON in JSON": json.dumps(json.dumps({"linear_secret": LINEAR})),
    "an escaped line end behind it": f"DROPBOX_TOKEN={DROPBOX}\\nNEXT=1",
    "URL-encoded sign": f"https://x.example/cb?state=datadog_key%3D{DATADOG}",
    "query": f"https://x.example/cb?datadog_key={DATADOG}",
    "XML": f"<datadogKey>{DATADOG}</datadogKey>",
    "full width": wide(f"dropbox_token={DROPBOX}"),
    "capitals": f"LINEAR_SECRET={LINEAR.upper()}",
    "UUID in capitals": f"hubspot_key={UUID.upper()}",
    "hex token in capitals": f"use PMAK-{hexes(24).upper()}-{hexes(34).upper()}",
    "another field before": f"new-relic.account: 12 newrelic_key: {drawn(64)}",
    "private key without an end": f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\nRSA PRIVATE KEY-----",
    "private key in small letters": f"-----begin private key-----\n{KEY}\n-----end private key-----",
    "kind behind the data": f"apiVersion: v1\ndata:\n  password: {drawn(24)}=\nkind: Secret\n",
    "Secret as JSON": json.dumps({"kind": "Secret", "data": {"password": drawn(24)}}),
    "curl over lines": f"curl -sS \\\n  -X POST \\\n  -u app:{drawn(9)} \\\n  https://x.example",
    "curl with the key as user": f"curl https://x.example -u {drawn(24)}:",
    "curl with a key's own header": f'curl --header="X-Api-Key: {drawn(12)}" https://x.example',
    "short password in quotes": f'database_password = "{drawn(9)}"',
    "escaped quotes": f'{{\\"password\\": \\"{drawn(9)}\\"}}',
    "JWT without a signature": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.",
}


@pytest.mark.parametrize("name", WRITINGS)
def test_an_unseen_secret_does_not_leave(name: str) -> None:
    """R-K2: in an argument to another server."""
    made = passage({"to": "eve", "body": f"note: {WRITINGS[name]}"})
    set_ = controls()
    refusal = set_.inspect(made) or set_.shape(made)
    assert refusal is not None
    assert refusal.code == "content_rejected"


@pytest.mark.parametrize("hidden", ["\u00ad", "\u200b", "\u2060", "\ufeff", "\U000e0041"])
def test_hidden_characters_within_hide_nothing(hidden: str) -> None:
    """R-K2: soft hyphens are read over, what is like them is taken out before anybody looks."""
    split = hidden.join((f"dropbox_tok{hidden}en={DROPBOX[:5]}", DROPBOX[5:9], DROPBOX[9:]))
    made = passage({"body": split})
    set_ = controls()
    refusal = set_.inspect(made) or set_.shape(made)
    assert refusal is not None
    assert refusal.code == "content_rejected"


@pytest.mark.parametrize(
    "argument", [{"looker_secret": LOOKER}, {"looker": {"secret": 1, "looker_id": LOOKER}}, {"body": [f"looker={LOOKER}"]}]
)
def test_name_and_value_may_be_key_and_value(argument: Any) -> None:
    """R-K2: an argument's name is the name of what it holds."""
    assert [span.rule for span in SCANNER.scan(f"looker={LOOKER}")] == ["looker-credential"]
    made = passage(argument)
    set_ = controls()
    assert (set_.inspect(made) or set_.shape(made)) is not None


@pytest.mark.parametrize(
    "text",
    [
        "our Dropbox folder = shared",
        "our Dropbox folder: presentations24",
        "Linear: see ticket ENG-1234",
        "Telegram: @handle, Telegram group: 1234567890, Telegram: +49 170 1234567",
        "LinkedIn: johnsmithcareers, LinkedIn: https://www.linkedin.com/in/john-smith-12345a6b7/",
        "Azure subscription: 550e8400-e29b-41d4-a716-446655440000",
        "Asana task: 1204567890123456, Discord channel: 280709203246141743",
        "Airtable base: appAbC123dEf456Gh, airtable record: recAbC123dEf456Gh",
        "Sourcegraph shows commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "Sentry event: 550e8400e29b41d4a716446655440000",
        "Jira: PROJ-12345, Confluence page: 1234567890123456789",
        "Stripe-Version: 2024-06-20.acacia, datadog-agent: v7.48.1-rc2",
        "Twitter, internationalization2, Looker studio: reportsnumber1234567",
        "order number: 4500012345678901234567, invoice = 2026-0815-4711",
        "Coinbase: 0x52908400098527886E0F7030069857D2E4169EE7",
        '"required": ["password", "user_name2"], "password": "mypassword1"',
        "curl -sS https://x.example\ndocker run -u node:node -v /a:/b image",
        "curl -u $USER:$TOKEN https://x.example; curl -H 'X-Api-Key: $KEY' https://x.example",
        "-----BEGIN PRIVATE KEY----- begins the file and -----END PRIVATE KEY----- ends it",
        "kind: Secret\nmetadata:\n  name: app-credentials\ntype: Opaque\n---\nkind: ConfigMap\ndata:\n  name: a-long-name-of-1-thing\n",
        '<add key="Password" value="%PASSWORD%" />',
        "creds = load_credentials(path1, path2)",
        'NAMES = ["V1RequestAws",\n    "V1OrganizationExternalKeysPostRequestGcp"]',
        "Discord, a-very-long-name-of-a-page-without-any-number-in-it",
    ],
)
def test_prose_that_names_vendors_is_no_secret(text: str) -> None:
    """R-K2: a name alone, an address, a version, a public identifier or a commit is none."""
    assert [(span.rule, text[span.start : span.end]) for span in SCANNER.scan(text)] == []


@pytest.mark.parametrize(
    "unit",
    [
        "curl -u aaaa ",
        "curl \\\n-u ",
        "curl -H 'token: aaaaaaaaa ",
        "kind: secret data: a ",
        'data: a: bbbbbbbbbbbb kind: "secret ',
        '"data: "data: a: ' + "b" * 500 + " kind: secret ",
        "password password = 'aaaaaaaaa",
        "stripe '\\'\\ = stripe = ",
        "eyaaaaaaaaaaaaaaa.eyaaaaaaaaaaaaaaa",
        "api_key secret_token := =aaaaaaaaaaa1 (",
    ],
)
def test_crowded_beginnings_do_not_hold_up_the_loop(unit: str) -> None:
    """R-K2: a text made of beginnings is read in time that grows with its length, not with its square."""
    took = []
    for size in (20_000, 80_000):
        text = (unit * size)[:size]
        started = time.thread_time()
        SCANNER.scan(text)
        took.append(time.thread_time() - started)
    assert took[1] < max(took[0], 0.01) * 10, took
