"""The same duty as callbot's in the phone benchmark, done by pipecat: ``pipecat_phone.py PORT FOLDER``.

Its Twilio serializer and FastAPI transport, Silero as in its own examples for the telephone, and one
processor that greets, answers the end of speech with cached audio and lets a caller interrupt. That is
less than its examples put into a bot (no recogniser, aggregators, model or voice service, no store), so
that the comparison errs on its side. ``FOLDER`` holds sentences as WAV files: the greeting, then those of
which an answer is each with the next. ``/books`` tells when the detector decided what, in monotonic seconds.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
import wave
from pathlib import Path

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    Frame,
    OutputTransportMessageFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

PORT, FOLDER = int(sys.argv[1]), Path(sys.argv[2])
RATE = 8000
logger.remove()
logger.add(sys.stderr, level="WARNING")
app = FastAPI()
books: list[tuple[str, str, float]] = []


def _pcm(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())


SENTENCES = [_pcm(path) for path in sorted(FOLDER.glob("*.wav"))]


class Desk(FrameProcessor):
    """Greets, answers and is interrupted."""

    def __init__(self, call: str, stream: str) -> None:
        super().__init__()
        self._call, self._stream = call, stream
        self._turns = itertools.count()
        self._marks = itertools.count(1)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """See FrameProcessor."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if direction is not FrameDirection.DOWNSTREAM:
            return
        if isinstance(frame, StartFrame):
            await self._say(SENTENCES[0])
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            books.append((self._call, "began", time.monotonic()))
            await self.broadcast_interruption()
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            books.append((self._call, "ended", time.monotonic()))
            turn = next(self._turns)
            for sentence in (turn, turn + 1):
                await self._say(SENTENCES[1 + sentence % (len(SENTENCES) - 1)])

    async def _say(self, audio: bytes) -> None:
        await self.push_frame(TTSStartedFrame())
        await self.push_frame(TTSAudioRawFrame(audio, RATE, 1))
        await self.push_frame(TTSStoppedFrame())
        mark = {"event": "mark", "streamSid": self._stream, "mark": {"name": str(next(self._marks))}}
        await self.push_frame(OutputTransportMessageFrame(message=mark))


@app.get("/books")
async def told() -> list[tuple[str, str, float]]:
    """What the detector decided."""
    return books


@app.websocket("/media")
async def media(websocket: WebSocket) -> None:
    """One call."""
    await websocket.accept()
    await websocket.receive_text()
    start = json.loads(await websocket.receive_text())["start"]
    silent_end = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    serializer = TwilioFrameSerializer(start["streamSid"], start["callSid"], params=silent_end)
    params = FastAPIWebsocketParams(
        serializer=serializer, audio_in_enabled=True, audio_out_enabled=True, add_wav_header=False
    )
    transport = FastAPIWebsocketTransport(websocket, params)
    detector = VADProcessor(vad_analyzer=SileroVADAnalyzer())
    desk = Desk(start["callSid"], start["streamSid"])
    rates = PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE)
    worker = PipelineWorker(Pipeline([transport.input(), detector, desk, transport.output()]), params=rates)

    @transport.event_handler("on_client_disconnected")
    async def left(_transport: object, _client: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning", ws_per_message_deflate=False)
