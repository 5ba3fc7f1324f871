"""`ostiary up` as a process: first run, commands beside it, what it refuses to start with, and leaving in good order (SURFACE)."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ostiary.storage.development_ca import issue

OSTIARY = [sys.executable, "-m", "ostiary"]


@dataclass
class Up:
    """A gateway that runs."""

    process: subprocess.Popen[str]
    data: Path
    url: str

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command on its machine."""
        return ostiary("--data", str(self.data), *arguments, stdin=stdin)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("OSTIARY_")}


def ostiary(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run([*OSTIARY, *arguments], input=stdin, capture_output=True, text=True, timeout=30, check=False, env=environment())


@contextmanager
def up(data: Path, *options: str) -> Iterator[Up]:
    """Start a gateway, wait until it is ready, and see that it leaves."""
    command = [*OSTIARY, "--data", str(data), "up", "--port", "0", "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        ready = json.loads(process.stdout.readline() or "{}")
        assert ready, process.stderr.read()
        yield Up(process, data, ready["url"])
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
        process.stderr.close()


def test_a_first_run_makes_what_it_needs_and_leaves_in_good_order(tmp_path: Path) -> None:
    """Configuration, keys (0600) and an operator; SIGTERM seals; the second run finds it all again."""
    data = tmp_path / "data"
    with up(data) as gateway:
        assert stat.S_IMODE((data / "operator.key").stat().st_mode) == 0o600
        assert "# port = 8470" in (data / "ostiary.toml").read_text()
        assert json.loads((data / "gateway.json").read_text())["url"] == gateway.url
        assert gateway.run("user", "register", "alice", "--role", "clerk").returncode == 0
        assert gateway.run("secret", "set", "key", stdin="sk-1").returncode == 0
        assert gateway.run("doctor").returncode == 0
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(15) == 0
    assert not (data / "gateway.json").exists()
    verified = ostiary("audit", "verify", str(data), "--json")
    assert (verified.returncode, json.loads(verified.stdout)["ok"]) == (0, True)
    assert ostiary("--data", str(data), "user", "list").returncode == 3
    with up(data) as gateway:
        assert json.loads(gateway.run("user", "list", "--json").stdout)["name"] == "alice"


def test_two_gateways_never_share_data_or_a_port(tmp_path: Path) -> None:
    """A clear line and an exit code, no traceback, nothing lost."""
    with up(tmp_path / "data") as gateway:
        second = ostiary("--data", str(tmp_path / "data"), "up", "--port", "0")
        assert (second.returncode, "in use by another gateway" in second.stderr) == (2, True)
        port = gateway.url.rpartition(":")[2]
        taken = ostiary("--data", str(tmp_path / "other"), "up", "--port", port)
        assert (taken.returncode, "Address already in use" in taken.stderr) == (3, True)
        assert gateway.run("operator", "me").returncode == 0


@pytest.mark.parametrize(
    ("options", "toml", "code", "said"),
    [
        (["--host", "0.0.0.0"], "", 2, "needs TLS"),
        (["--host", "0.0.0.0", "--tls-dev", "--dev"], "", 2, "for loopback only"),
        (["--tls-cert", "/nowhere.pem"], "", 2, "`server.tls_key` is not"),
        (["--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.key"], "", 2, "is not a file"),
        (["--port", "99999"], "", 2, "server.port"),
        ([], "[server]\nprot = 1\n", 2, "did you mean `server.port`?"),
        ([], "[server\n", 2, "is not TOML"),
    ],
)
def test_what_it_does_not_start_with(tmp_path: Path, options: list[str], toml: str, code: int, said: str) -> None:
    """Listening beyond loopback needs TLS; a configuration it does not understand is refused whole."""
    data = tmp_path / "data"
    data.mkdir()
    if toml:
        (data / "ostiary.toml").write_text(toml)
    ran = ostiary("--data", str(data), "up", *options)
    assert (ran.returncode, said in ran.stderr) == (code, True), ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (data / "state.db").exists()


def test_a_development_certificate_is_trusted_on_this_machine(tmp_path: Path) -> None:
    """R-B5: beyond loopback only encrypted, and the command line checks whom it gives its key to."""
    with up(tmp_path / "data", "--host", "0.0.0.0", "--tls-dev") as gateway:
        assert gateway.url.startswith("https://")
        assert gateway.run("operator", "me").returncode == 0
        (tmp_path / "data" / "gateway.json").write_text(json.dumps({"url": gateway.url}))
        distrusted = gateway.run("operator", "me")
        assert (distrusted.returncode, "is not trusted" in distrusted.stderr) == (3, True)


def test_a_certificate_of_ones_own_is_trusted_on_this_machine(tmp_path: Path) -> None:
    """R-B5: certificate files from an authority nobody here knows; the command line of the same data trusts exactly that one."""
    certificate, key, _ = issue(tmp_path / "pki", ["127.0.0.1", "localhost"])
    with up(tmp_path / "data", "--tls-cert", str(certificate), "--tls-key", str(key)) as gateway:
        assert gateway.url.startswith("https://")
        assert gateway.run("operator", "me").returncode == 0
        assert ostiary("--data", str(tmp_path / "data"), "--url", gateway.url, "operator", "me").returncode == 3


def test_a_silent_or_lying_gateway_is_a_clear_line(tmp_path: Path) -> None:
    """What answers need not be a gateway."""
    (tmp_path / "operator.key").write_text("ook_x")
    (tmp_path / "operator.key").chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = subprocess.Popen(
            [*OSTIARY, "--data", str(tmp_path), "--url", url, "user", "list"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
        time.sleep(0.1)
        connection.close()
        _, said = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in said) == (3, False)


def test_what_serves_holds_nothing_of_the_command_line(tmp_path: Path) -> None:
    """Reading options takes libraries that a gateway never uses; the process that serves has not imported one of them.

    Asked of the process itself: the interpreter writes down each import, in order, and begins anew when the process replaces itself.
    """
    command = [*OSTIARY, "--data", str(tmp_path / "data"), "up", "--port", "0", "--json"]
    written = tmp_path / "imports"
    with written.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**environment(), "PYTHONPROFILEIMPORTTIME": "1"}
        )
        assert process.stdout is not None
        with process, process.stdout:
            assert json.loads(process.stdout.readline())["url"]
            assert ostiary("--data", str(tmp_path / "data"), "user", "register", "alice").returncode == 0
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
    _, parsing, serving = written.read_text().split("import time: self [us]")
    packages = [
        {line.rpartition("|")[2].strip().partition(".")[0] for line in part.splitlines() if line.startswith("import time:")}
        for part in (parsing, serving)
    ]
    command_line = {"cyclopts", "rich", "docstring_parser", "markdown_it", "pygments"}
    assert "cyclopts" in packages[0]
    assert "fastapi" not in packages[0]
    assert "fastapi" in packages[1]
    assert not packages[1] & command_line


def test_a_module_lying_where_it_is_started_is_not_run(tmp_path: Path) -> None:
    """The folder a gateway is started in is not where its code comes from, whoever may write there."""
    (tmp_path / "fastapi.py").write_text("raise SystemExit(66)")
    (tmp_path / "ostiary.py").write_text("raise SystemExit(66)")
    command = [str(Path(sys.executable).parent / "ostiary"), "--data", "data", "up", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(), cwd=tmp_path) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["url"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
