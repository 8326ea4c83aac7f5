"""A bot that others made judges the carrier: pipecat's own Twilio transport understands every word of it."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import soundfile
from bot import ACCOUNT, TOKEN
from calling import HASTY, Tunes, scenario

from callbot.carrier.caller import prepare
from callbot.carrier.dialling import Setting, open_carrier
from callbot.carrier.measure import match, signal_of
from callbot.carrier.paperwork import Dialled

BOT = Path(__file__).with_name("pipecat_bot.py")


async def test_pipecat_hears_the_caller_is_heard_and_hangs_up(tmp_path: Path) -> None:
    """Its echo of the caller's words comes back whole; a key reaches it; it ends the call by REST."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dialled = Dialled(f"http://127.0.0.1:{port}/incoming", "+97235550100", account=ACCOUNT, limit_seconds=20)
    who = scenario({"say": "this is a sentence"}, {"press": "#"}, end=(2, 2))
    wav = tmp_path / "call.wav"
    async with open_carrier(Setting(dialled, TOKEN, manners=HASTY), Tunes()) as carrier:
        arguments = [sys.executable, str(BOT), str(port), carrier.rest_url, ACCOUNT, TOKEN]
        process = await asyncio.create_subprocess_exec(*arguments)
        try:
            await _listening(port, process)
            finished = await carrier.call(who, wav=wav)
        finally:
            process.kill()  # asked to stop, it may wait for its own connections without end
            await process.wait()
    (said, _) = await prepare(who.turns, Tunes())
    heard = soundfile.read(wav)[0][:, 1] * 32768
    found = match(heard, signal_of(said.audio))
    assert (found.share, found.times) == (1.0, 1)
    ending = finished.report.ending
    assert (ending.by, ending.turn, ending.rest) == ("rest", 2, 1)
    assert not [each for each in finished.report.incidents if each.code]
    assert finished.report.overlap_ms > 300, "an echo speaks over the caller"


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    """Wait until the bot has started."""
    while process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise AssertionError("the bot did not start")
