"""Measure content controls: CPU microseconds for a kilobyte each way, per piece of a stream, database and memory."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

PROSE = "The quick brown fox jumps over the lazy dog, and then some more prose with numbers 12 and 34, as it goes. "
SENSITIVE = "Write to alice@example.com, card 4111 1111 1111 1111, tel +49 30 901820, key AKIAQ3EGSUDH2XPL7RTV. "
CODE = 'def load(path: str) -> dict[str, int]:\n    with open(path) as file:\n        return {key: value for key, value in parse(file)["items"]}\n'


def micros(act: Callable[[], Any], rounds: int) -> float:
    """Return the CPU time of one call in microseconds, the best of five."""
    act()
    best = float("inf")
    for _ in range(5):
        began = time.process_time_ns()
        for _ in range(rounds):
            act()
        best = min(best, (time.process_time_ns() - began) / rounds / 1000)
    return best


def resident_mb() -> float:
    """Return the resident memory of this process in megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def measure(rounds: int) -> dict[str, float]:
    """Return every figure by name."""
    before = resident_mb()
    began = time.perf_counter()
    from ostiary.controls import detectors

    scanner = detectors.scanner()
    figures = {"start_ms": (time.perf_counter() - began) * 1000, "database_kb": scanner.size / 1024, "resident_mb": resident_mb() - before}

    from tests.support.controls import controls, passage, prompt, registry, session, tool

    schema = {"type": "object", "properties": {"to": {"type": "string"}, "body": {"type": "string"}}, "required": ["to", "body"]}
    mail = tool("mail/send", schema)
    set_, of = controls(registry(mail)), session()
    for name, unit in (("prose", PROSE), ("sensitive", SENSITIVE), ("code", CODE)):
        text = (unit * 20)[:1024]
        arguments: Mapping[str, Any] = {"to": "team", "body": text}
        made = passage(arguments, of=of)
        answer = {"content": [{"type": "text", "text": text}], "isError": False}
        figures[f"{name}_inspect_us"] = micros(lambda made=made: set_.inspect(made), rounds)  # type: ignore[misc]
        figures[f"{name}_answer_us"] = micros(lambda made=made, answer=answer: set_.answer(made, answer), rounds)  # type: ignore[misc]
    plain = passage({"to": "team", "body": (PROSE * 20)[:1024]}, of=of)
    figures["prose_shape_us"] = micros(lambda: set_.shape(plain), rounds)
    figures["prose_both_ways_us"] = figures["prose_inspect_us"] + figures["prose_shape_us"] + figures["prose_answer_us"]
    for name, duties in (("stream_labelled", None), ("stream_redacted", {"redact": "pii,secret"})):
        to = "gpt" if duties else "mail/send"
        text = (PROSE * 40)[:4000]
        pieces = [text[at : at + 5] for at in range(0, len(text), 5)]

        def act(to: str = to, duties: dict[str, str] | None = duties, pieces: list[str] = pieces) -> None:
            stream = set_.stream(passage(prompt("x") if to == "gpt" else {"to": "a", "body": "b"}, to=to, of=of, obligations=duties))
            for piece in pieces:
                stream.feed("content", piece)
            stream.finish("content")

        figures[f"{name}_piece_us"] = micros(act, max(1, rounds // 200)) / len(pieces)
    return figures


def main() -> None:
    """Print the figures, as a table or as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=1000)
    chosen = parser.parse_args()
    figures = {name: round(value, 2) for name, value in measure(chosen.rounds).items()}
    if chosen.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:28} {value:10.2f}")


if __name__ == "__main__":
    main()
