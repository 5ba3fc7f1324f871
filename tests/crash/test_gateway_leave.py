"""A gateway that is asked to leave in the middle of an answer: the answer ends well, the record is complete."""

import http.client
import json
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.support.gateway import Running, company


def stream(gateway: Running, token: str, begun: threading.Event, pieces: list[bytes]) -> None:
    """Read a long answer to its end."""
    line = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    body = {"model": "assistant", "stream": True, "messages": [{"role": "user", "content": "a story"}]}
    line.request("POST", "/openai/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {token}"})
    answer = line.getresponse()
    assert answer.status == 200
    while piece := answer.readline():
        pieces.append(piece)
        begun.set()
    line.close()


@pytest.mark.parametrize(
    "signals", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]], ids=["term", "int", "term-twice"]
)
def test_a_stream_ends_in_good_order_when_the_gateway_leaves(tmp_path: Path, signals: list[signal.Signals]) -> None:
    """R-P4: the open answer drains to a well-formed end, its outcome is recorded, the record is sealed, the exit code is 0."""
    with company(tmp_path) as gateway:
        token, begun, pieces = gateway.session(), threading.Event(), list[bytes]()
        reading = threading.Thread(target=stream, args=(gateway, token, begun, pieces), daemon=True)
        reading.start()
        assert begun.wait(10)
        assert gateway.process is not None
        for number in signals:
            gateway.process.send_signal(number)
            time.sleep(0.3)
        assert gateway.process.wait(20) == 0, gateway.log[-3000:]
        reading.join(10)
        assert not reading.is_alive()
        text = b"".join(pieces)
        assert text.rstrip().endswith(b"data: [DONE]") or b'"error"' in text.rsplit(b"data: ", 2)[-1] + text.rsplit(b"data: ", 2)[-2], text[
            -300:
        ]
        assert "Traceback" not in gateway.log, gateway.log[-3000:]
        verified = gateway.run("audit", "verify", str(gateway.data))
        assert verified.returncode == 0
        assert "entries" in verified.stdout
        gateway.start()
        found = gateway.entries()
        intents = {entry["id"] for entry in found if entry["kind"] == "intent"}
        assert intents
        assert intents <= {entry["intent"] for entry in found if entry["kind"] == "outcome"}
