"""The sound of a recording: silence that lasts as long as the recording did, as WAV or MP3 (twilio-facts.md 3.5)."""

import struct
from collections.abc import Iterator

from aiohttp import web

from emulator.errors import not_found
from emulator.rest.answer import WORLD, account

RATE, SAMPLE_BYTES = 8_000, 2
CHUNK = bytes(64 * 1024)
FRAME = b"\xff\xfb\x10\xc4" + bytes(100)
"""One silent frame: MPEG-1 layer III, 32 kbit/s, 44.1 kHz, mono; no samples at all."""
FRAME_S = 1152 / 44_100
FRAMES_A_CHUNK = 600


def wav(seconds: int, channels: int) -> Iterator[bytes]:
    """Yield a WAV file of silence: 8 kHz, 16 bits."""
    size = seconds * RATE * SAMPLE_BYTES * channels
    block = SAMPLE_BYTES * channels
    about = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, RATE, RATE * block, block, 8 * SAMPLE_BYTES)
    yield struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + about + struct.pack("<4sI", b"data", size)
    for begin in range(0, size, len(CHUNK)):
        yield CHUNK[: size - begin]


def mp3(seconds: int) -> Iterator[bytes]:
    """Yield an MP3 file of silence, one channel."""
    frames = max(round(seconds / FRAME_S), 1)
    for begin in range(0, frames, FRAMES_A_CHUNK):
        yield FRAME * min(FRAMES_A_CHUNK, frames - begin)


async def fetch(request: web.Request) -> web.StreamResponse:
    """``GET /Recordings/{RE}``, ``.wav``, ``.mp3``: 404 until the recording is completed.

    ``RequestedChannels=2`` gives two channels of a dual recording as WAV.
    """
    item = request.app[WORLD].recordings.get(request.match_info["recording"])
    if item is None or item.account_sid != account(request) or item.status != "completed":
        raise not_found(request.path)
    both = request.query.get("RequestedChannels") == "2" and item.wish.channels > 1
    compressed = request.match_info["form"] == ".mp3"
    parts = mp3(item.duration_s or 0) if compressed else wav(item.duration_s or 0, 2 if both else 1)
    response = web.StreamResponse(headers={"Content-Type": "audio/mpeg" if compressed else "audio/x-wav"})
    await response.prepare(request)
    for part in parts:
        await response.write(part)
    await response.write_eof()
    return response
