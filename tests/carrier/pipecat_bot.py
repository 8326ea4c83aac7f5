"""A bot made by others: pipecat's Twilio transport and serializer echo the caller; ``#`` hangs up.

Run as a program: ``pipecat_bot.py PORT REST_URL ACCOUNT TOKEN``.
"""

from __future__ import annotations

import json
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from fastapi.responses import Response
from pipecat.frames.frames import EndFrame, Frame, InputAudioRawFrame, InputDTMFFrame, OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

PORT, REST, ACCOUNT, TOKEN = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
app = FastAPI()


class Echo(FrameProcessor):
    """Says what it hears; ends when a key is pressed."""

    worker: PipelineWorker

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels))
        elif isinstance(frame, InputDTMFFrame):
            await self.worker.queue_frame(EndFrame())
        else:
            await self.push_frame(frame, direction)


@app.post("/incoming")
async def incoming() -> Response:
    """No greeting: the stream at once."""
    stream = f'<Connect><Stream url="ws://127.0.0.1:{PORT}/media"/></Connect>'
    return Response(f"<Response>{stream}<Hangup/></Response>", media_type="text/xml")


@app.websocket("/media")
async def media(websocket: WebSocket) -> None:
    """One call."""
    await websocket.accept()
    connected = json.loads(await websocket.receive_text())
    assert connected["event"] == "connected"
    start = json.loads(await websocket.receive_text())
    serializer = TwilioFrameSerializer(
        start["streamSid"], start["start"]["callSid"], ACCOUNT, TOKEN, base_url=REST
    )
    params = FastAPIWebsocketParams(
        serializer=serializer, audio_in_enabled=True, audio_out_enabled=True, add_wav_header=False
    )
    transport = FastAPIWebsocketTransport(websocket, params)
    echo = Echo()
    rates = PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000)
    echo.worker = PipelineWorker(Pipeline([transport.input(), echo, transport.output()]), params=rates)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(echo.worker)
    await runner.run()


uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
