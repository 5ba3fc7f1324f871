"""Honest texts of many kinds, to count what content controls would block or mark among them."""

import base64
import json
import random
import uuid
from collections.abc import Callable

_RANDOM = random.Random(7)


def _hex(size: int) -> str:
    return _RANDOM.randbytes(size).hex()


def _image(size: int) -> str:
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + _RANDOM.randbytes(size)).decode()


PROSE = [
    "The committee met on Tuesday and agreed to postpone the vote until the figures for the third quarter are known.",
    "Die Besprechung findet am Donnerstag um 14:30 Uhr im Raum 204 statt. Bitte bringen Sie die Unterlagen mit.",
    "Nous vous remercions de votre commande n° 20260911-0042, expédiée le 12 septembre 2026 par transporteur.",
    "El informe trimestral muestra un aumento del 12,5 % en las ventas respecto al año anterior.",
    "Il pagamento della fattura 2026/118 è previsto entro 30 giorni dalla data di ricevimento.",
    "会議は来週の月曜日、午前10時から第3会議室で行います。資料を持参してください。",
    "Совещание состоится в четверг в 15:00. Просьба подтвердить участие до среды.",
    "الاجتماع يوم الخميس الساعة الثالثة. يرجى إحضار التقارير.",
    "הפגישה תתקיים ביום חמישי בשעה 15:00.",
    "회의는 목요일 오후 3시에 열립니다. 자료를 준비해 주세요.",
    "Zebranie odbędzie się w czwartek o godzinie 15. Proszę potwierdzić obecność.",
    "Forget about the earlier draft; the system we described in the previous section replaces it. Always read the instructions on the box.",
    "Before you leave, tell the user group that important instructions for assembly are in the drawer.",
    "The password policy requires 12 characters, one digit and a symbol; tokens expire after one hour, secrets rotate monthly.",
    "He told the assistant to ignore the noise and follow the rules of the game, as in all previous matches.",
    "Acting as secretary, Ms Vale noted that no rules were broken; the chair thanked all members for their patience.",
]
MAILS = [
    "Hi Ann,\n\nthanks for the quick reply. Could you send me the invoice again? The attachment was empty.\n\nBest,\nBob\n-- \nBob Miller | Sales | Example GmbH | Tel +49 30 901820",
    "Dear customer,\nyour order #A-4711-2026 has been shipped. Track it at https://shop.example.com/track?id=A47112026&lang=en\nDo not reply to this message.",
    "Reminder: your subscription renews on 1 October 2026 for EUR 49.00. To change your plan, see [account settings](https://app.example.com/settings).",
    "Team,\nplease never forward the building key to visitors and do not tell anyone the alarm code.\nThanks, facility management",
    "Security notice: we will never ask for your password. If you receive such a message, ignore it and report it.",
]
INVOICES = [
    "INVOICE 2026-0815\nExample Ltd, 1 High Street, London\nVAT GB123456789\n10 x Widget A @ 12.50 = 125.00\nSubtotal 125.00\nVAT 20 % 25.00\nTotal GBP 150.00\nPay to: GB82 WEST 1234 5698 7654 32, BIC WESTGB2L",
    "Rechnung Nr. R-2026-118\nKundennummer: 10045512\nLeistungszeitraum: 01.08.2026 - 31.08.2026\nNetto 1.234,56 EUR, USt. 19 % 234,57 EUR, Brutto 1.469,13 EUR",
    "PO 4500012345 line 10: 250 pcs part no. 7M-0042-118-B, EAN 4006381333931, delivery 2026-10-15, net 30",
]
CODE = [
    "def connect(url: str, *, timeout: float = 30.0) -> Connection:\n    password = os.environ['DB_PASSWORD']\n    return Connection(url, password=password, timeout=timeout)\n",
    "const token = req.headers['authorization']?.split(' ')[1];\nif (!token) return res.status(401).json({ error: 'missing token' });\n",
    'export API_KEY=${API_KEY:?set API_KEY first}\ncurl -H "Authorization: Bearer $API_KEY" https://api.example.com/v1/items\n',
    "services:\n  db:\n    image: postgres:16\n    environment:\n      POSTGRES_PASSWORD: ${DB_PASSWORD}\n      POSTGRES_USER: app\n",
    'resource "aws_iam_access_key" "ci" {\n  user = aws_iam_user.ci.name\n}\noutput "secret" { value = aws_iam_access_key.ci.secret }\n',
    'public class TokenService {\n  private final String secretKeyName = "signing-key";\n  String refreshToken(User user) { return tokens.issue(user, Duration.ofHours(1)); }\n}\n',
    "SELECT id, email, phone FROM customers WHERE created_at > '2026-01-01' ORDER BY id LIMIT 100;",
    'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("key=value", 0x1F)\n}\n',
    '[tool.poetry.dependencies]\npython = "^3.11"\nrequests = {version = "^2.31", extras = ["socks"]}\n',
    "# README\n![build](https://ci.example.com/badge.svg) [docs](https://docs.example.com)\n\nSet `client_secret` in the dashboard; keep your private key out of the repository.\n",
    "password_hash = bcrypt.hash(password)\nassert verify_password(password, password_hash)\nprint(f'token={token[:4]}...')\n",
    "if (![1, 2].includes(x)) { arr[0](); }\nconst m: Map<string, number[]> = new Map();\n",
    ".card::before { content: '\\1F512'; background: url(data:image/png;base64,iVBORw0KGgo=); }",
    "kind: Secret\nmetadata:\n  name: app\ntype: Opaque\ndata: {}\n---\nkind: Deployment\nspec:\n  template: {}\n",
    "integrity sha512-" + base64.b64encode(_RANDOM.randbytes(64)).decode(),
    "-----BEGIN CERTIFICATE-----\n"
    + "\n".join(base64.b64encode(_RANDOM.randbytes(48)).decode() for _ in range(12))
    + "\n-----END CERTIFICATE-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5" + base64.b64encode(_RANDOM.randbytes(36)).decode() + " ann@laptop",
]


def _uuid() -> str:
    return str(uuid.UUID(int=_RANDOM.getrandbits(128)))


def _integrity() -> str:
    return "sha512-" + base64.b64encode(_RANDOM.randbytes(64)).decode()


_KINDS: tuple[Callable[[], str], ...] = (
    lambda: (
        f"2026-09-11T12:34:56.{_RANDOM.randrange(10**6):06d}Z INFO request_id={_uuid()} status=200 bytes={_RANDOM.randrange(10**7)} took=12ms"
    ),
    lambda: f"commit {_hex(20)}\nAuthor: Ann\n\n    Fix the parser\n\n diff --git a/x b/x\nindex {_hex(4)[:7]}..{_hex(4)[:7]} 100644",
    lambda: json.dumps({"id": _uuid(), "etag": _hex(16), "next_page_token": _hex(8), "count": _RANDOM.randrange(10**12)}),
    lambda: json.dumps({"type": "image_url", "image_url": {"url": "data:image/png;base64," + _image(900)}}),
    lambda: "\n".join(
        f"{_RANDOM.randrange(10**9):09d},{_RANDOM.random() * 1000:.2f},{_RANDOM.choice('ABC')}{_RANDOM.randrange(1000):03d}"
        for _ in range(12)
    ),
    lambda: f"sha256:{_hex(32)} docker.io/library/nginx@sha256:{_hex(32)}",
    lambda: (
        f"https://example.com/a/{_hex(6)}?utm_source=x&session={_RANDOM.randrange(10**10)}#top and /srv/data/{_hex(4)}/part-0001.parquet"
    ),
    lambda: (
        f"ERROR worker[{_RANDOM.randrange(9999)}] at 0x{_hex(6)} after {_RANDOM.randrange(10**13)} ns: timeout of 10.{_RANDOM.randrange(256)}.3.7:5432"
    ),
    lambda: f'package-lock: "resolved": "https://registry.example/x/-/x-1.2.{_RANDOM.randrange(99)}.tgz", "integrity": "{_integrity()}"',
    lambda: _image(600),
    lambda: (
        f"tracking 1Z{_hex(8).upper()} parcel {_RANDOM.randrange(10**20):020d} ISBN 978-{_RANDOM.randrange(10)}-{_RANDOM.randrange(10**5):05d}-{_RANDOM.randrange(10**3):03d}-1"
    ),
    lambda: f"trace_id={_hex(16)} span_id={_hex(8)} traceparent: 00-{_hex(16)}-{_hex(8)}-01",
)


def generated(count: int = 400) -> list[str]:
    """Machine text: logs, identifiers, hashes, tables, pictures."""
    return [_KINDS[number % len(_KINDS)]() for number in range(count)]


HONEST: list[str] = [*PROSE, *MAILS, *INVOICES, *CODE, *generated()]
