"""Settings: few, documented, from four places, and never half understood (DESIGN section 6)."""

import re
from pathlib import Path

import pytest

import ostiary.settings as settings_module
from ostiary.core.errors import InvalidConfig
from ostiary.settings import Settings, describe, is_loopback


def refused(**given: object) -> str:
    with pytest.raises(InvalidConfig) as caught:
        Settings.load(**{"environ": {}, **given})  # type: ignore[arg-type]
    return caught.value.detail


def test_there_are_fewer_than_sixty_and_each_says_what_it_means() -> None:
    found = describe(environ={})
    assert 0 < len(found) < 60
    assert all(len(each.meaning) > 10 for each in found)


def test_no_setting_is_for_nothing() -> None:
    """One that no part of the gateway reads would promise what does not happen."""
    package = Path(settings_module.__file__).parent
    code = "\n".join(path.read_text() for path in package.rglob("*.py") if path.name != "settings.py")
    unread = [each.name for each in describe(environ={}) if not re.search(rf"\.{each.name.partition('.')[2]}\b", code)]
    assert unread == []


def test_later_places_win(tmp_path: Path) -> None:
    """Defaults, file, secrets directory, environment, command line."""
    config = tmp_path / "ostiary.toml"
    config.write_text('[server]\nport = 1\nhost = "localhost"\nkeep_alive_s = 3\n[log]\nlevel = "debug"\n')
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "server__keep_alive_s").write_text("4\n")
    (secrets / "log__level").write_text("error\n")
    environ = {"OSTIARY_SECRETS_DIR": str(secrets), "OSTIARY_SERVER__PORT": "2", "OSTIARY_LOG__LEVEL": "warning", "OSTIARY_URL": "x"}
    found = {
        each.name: (each.value, each.source)
        for each in describe(config, environ=environ, overrides={"server.port": 3, "server.tls_cert": None})
    }
    assert found["server.port"] == (3, "command line")
    assert found["log.level"] == ("warning", "environment")
    assert found["server.keep_alive_s"] == (4.0, "secrets")
    assert found["server.host"] == ("localhost", "file")
    assert found["server.drain_s"] == (10.0, "default")


def test_lists_in_the_environment_are_written_with_commas() -> None:
    settings = Settings.load(environ={"OSTIARY_SERVER__ALLOWED_HOSTS": "a.example, b.example"})
    assert settings.server.allowed_hosts == ["a.example", "b.example"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1", "unknown setting `server.prot`"),
        ("[server]\n\nprot = 1", "line 3; did you mean `server.port`?"),
        ("[sever]\nport = 1", "unknown section `sever`"),
        ("[sever]\nport = 1", "did you mean `server`?"),
        ("port = 1", "unknown section `port`"),
        ("[server]\nport = 'x'", "setting `server.port`"),
        ("[server]\nport = 70000", "less than or equal to 65535"),
        ("[server\nport = 1", "is not TOML"),
        ("[server]\nport = 1\nport = 2", "is not TOML"),
        ("[identity]\nsession_ttl_s = 7200", "less than or equal to 3600"),
        ("[identity]\ntrust_domain = 'Not A Domain'", "identity.trust_domain"),
        ("[limits]\nprincipal_rate = '10 per s'", "limits.principal_rate"),
        ("[server]\ntls_cert = 'a.pem'", "`server.tls_key` is not"),
        ("[server]\nhost = '0.0.0.0'\n[identity]\ndev_sign_in = true", "for loopback only"),
        ("x = " + "[" * 5000, "is not TOML"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "ostiary.toml"
    config.write_text(text)
    assert said in refused(config=config)


def test_unknown_names_are_refused_wherever_they_stand(tmp_path: Path) -> None:
    assert "did you mean `server.port`?" in refused(environ={"OSTIARY_SERVER__PROT": "1"})
    (tmp_path / "server__prot").write_text("1")
    assert "unknown setting `server.prot`" in refused(environ={"OSTIARY_SECRETS_DIR": str(tmp_path)})
    assert "cannot be read" in refused(config=tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in refused(config=tmp_path / "bytes.toml")


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("localhost.evil.example", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback(host: str, is_one: bool) -> None:
    assert is_loopback(host) is is_one
