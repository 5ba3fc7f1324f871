"""`ostiary bench` measures a real gateway, and says nothing when what it measures goes wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ostiary.core.errors import Unavailable
from ostiary.demo.load import Load, Target
from ostiary.demo.world import World, free_port


def test_the_command_prints_figures_of_a_gateway_that_ran() -> None:
    command = [sys.executable, "-m", "ostiary", "bench", "--seconds", "0.5", "--json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
    chat, tools = found["measures"]
    assert (chat["what"], tools["what"]) == ("chat completions", "MCP tools/call")
    for row in (chat, tools):
        assert row["per_s"] > 0
        assert row["direct_per_s"] > 0
        assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert found["ready_s"] > 0


def test_a_measure_of_no_sensible_length_is_refused() -> None:
    command = [sys.executable, "-m", "ostiary", "bench", "--seconds", "0"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "0.5 to 600 seconds" in done.stderr


async def test_an_answer_that_is_not_200_ends_the_measure(tmp_path: Path) -> None:
    world = World(tmp_path, {"upstream": free_port()})
    await world.start("upstream", "-m", "ostiary.demo.echo", str(world.ports["upstream"]))
    try:
        await world.ready("upstream")
        good = await Load(Target(world.ports["upstream"], "/v1/chat/completions", {}, ["{}"])).closed(2, 0.2)
        assert good.count > 0
        paced = await Load(Target(world.ports["upstream"], "/v1/chat/completions", {}, ["{}"])).paced(50, 0.2)
        assert paced.count == 10
        with pytest.raises(Unavailable, match="answered 404"):
            await Load(Target(world.ports["upstream"], "/nowhere", {}, ["{}"])).closed(2, 5.0)
    finally:
        await world.kill("upstream")
