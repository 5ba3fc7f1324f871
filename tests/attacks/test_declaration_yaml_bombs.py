"""Attack: a declaration that expands, constructs or hides something. Each must be refused quickly, with its line (R-P2)."""

import time

import pytest

from ostiary.core.errors import InvalidConfig
from ostiary.governance.declaration import Bundle, read
from ostiary.governance.strict_yaml import MAX_BYTES, MAX_DEPTH, parse

LAUGHS = "a: &a [x, x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "line 1: anchors and aliases"),
        ("users: *nowhere", "anchors and aliases"),
        ("users: !!python/object/apply:os.system [id]", "tag `tag:yaml.org,2002:python/object/apply:os.system`"),
        ("users: !include /etc/passwd", "tag `!include`"),
        ("users: !!binary aGk=", "tag"),
        ("base: {a: 1}\nusers:\n  <<: {b: 2}", "merge keys"),
        ("users: {alice: {}, alice: {roles: [administrator]}}", "key `alice` appears twice, first on line 1"),
        ("users: {alice: {}}\n---\nusers: {eve: {}}", "a second document"),
        ("%YAML 1.1\n---\nusers: {}", "directives"),
        ("? [a, b]\n: c", "a key must be text"),
        ("? {a: b}\n: c", "a key must be text"),
        ("a: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested more than"),
        ("[" * 100_000, "nested more than"),
        ("{a: " * 50_000, "nested more than"),
        ("- x\n" * 55_000, "more than 50000 values"),
        ("x" * (MAX_BYTES + 1), "over"),
        ("a: \x00", "not YAML"),
        ("a: 'open", "not YAML"),
        ("\ta: b", "not YAML"),
        ("users: {a: {roles: [x], roles: [y]}}", "appears twice"),
        ("users: on", "read in two ways"),
    ],
)
def test_a_hostile_text_is_refused(text: str, said: str) -> None:
    started = time.process_time()
    with pytest.raises(InvalidConfig) as caught:
        parse(text, "bomb.yaml")
    assert said in caught.value.detail
    assert time.process_time() - started < 20


def test_values_are_never_more_than_they_look() -> None:
    """Dates, octal, hexadecimal, exponents and infinities stay text: two readers must not disagree about a limit."""
    found = parse("[2026-01-01, 0o17, 017, 0x1F, 1e3, .inf, 1_000, +1, 9999999999999999999, 12:30]", "x").plain()
    assert all(isinstance(value, str) for value in found)


@pytest.mark.parametrize("text", ["- a", "just text", "12"])
def test_a_declaration_must_be_a_mapping(text: str) -> None:
    with pytest.raises(InvalidConfig, match="must be a mapping"):
        read(Bundle({"x.yaml": text}))


@pytest.mark.parametrize(
    "bundle",
    [
        Bundle({"../x.yaml": "users: {}"}),
        Bundle({"/etc/x.yaml": "users: {}"}),
        Bundle({"x.yaml": "users: {}"}, {"../../prompt": "x"}),
        Bundle({"x.yaml": "users: {}"}, {"a/../b": "x"}),
        Bundle({}),
        Bundle({f"{n}.yaml": "" for n in range(1001)}),
        Bundle({"x.yaml": ""}, {"big": "x" * (7 * 1024 * 1024)}),
    ],
)
def test_a_hostile_bundle_is_refused(bundle: Bundle) -> None:
    with pytest.raises(InvalidConfig):
        read(bundle)


def test_names_cannot_leave_their_place() -> None:
    """A name ends up in URLs, policies and file names."""
    for name in ("../x", "a/b", "", "-x", "a b", "a\\nb", "é", "x" * 129, 'a"b'):
        with pytest.raises(InvalidConfig, match="cannot be a name"):
            read(Bundle({"x.yaml": f'users: {{"{name}": {{}}}}' if '"' not in name else f"users: {{'{name}': {{}}}}"}))


def test_hidden_characters_are_refused() -> None:
    for hidden in ("\\u001b[2J", "\\u0085", "\\u009b"):
        with pytest.raises(InvalidConfig, match="control characters"):
            read(Bundle({"x.yaml": f'users: {{a: {{email: "a{hidden}@b"}}}}'}))


@pytest.mark.parametrize("text", ["users: [?0]", "users: [? a]", "? users\n: {}", "users: {?a: {}}", "users: {? a : {}}"])
def test_a_marked_key_is_not_read_in_one_of_its_two_ways(text: str) -> None:
    """R-P2: `?` begins a key for some parsers and a text for others, so it is refused where it would be a key."""
    with pytest.raises(InvalidConfig, match=r"`\?`"):
        parse(text, "x.yaml")


def test_a_question_mark_elsewhere_is_text() -> None:
    """R-P2: only the mark of a key is refused."""
    assert parse('users: {a: what?, "?": b, why?: "?c"}', "x.yaml").plain() == {"users": {"a": "what?", "?": "b", "why?": "?c"}}
