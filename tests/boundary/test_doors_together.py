"""One session at several doors at once: one budget, counted exactly."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.gateway import company


def test_one_budget_holds_over_all_doors_to_the_last_action(tmp_path: Path) -> None:
    """R-C1: 200 calls at once at two doors with a budget of 50: exactly 50 reach what is behind the gateway."""
    with company(tmp_path) as gateway:
        token = gateway.session(actions=50)
        with ThreadPoolExecutor(20) as pool:
            answers = list(
                pool.map(lambda n: gateway.pay(token, reference=str(n)) if n % 2 else gateway.chat(token, f"hello {n}"), range(200))
            )
        received = (tmp_path / "received").read_bytes().splitlines()
        assert len(gateway.paid) + len(received) == 50
        served = [answer for answer in answers if answer.status == 200 and b'"error"' not in answer.body]
        assert len(served) == 50
        assert all(b"budget_spent" in answer.body for answer in answers if answer not in served)
