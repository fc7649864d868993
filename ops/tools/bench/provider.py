"""
A stand-in for SES on loopback: `python -m ops.tools.bench.provider MILLISECONDS`.

It takes every message and answers after so many milliseconds. The first line of its output is its URL; `GET /` answers
how many messages came, and the seconds between the first and the last of them.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from asyncio import StreamReader, StreamWriter


class Provider:
    """What came, and when."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._ids = itertools.count()
        self._moments: list[float] = []

    async def serve(self) -> None:
        """Until it is ended."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()

    async def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                _, _, length = head.partition(b"content-length: ")
                await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
                answer = self._figures() if head.startswith(b"get ") else await self._take()
                head_of_answer = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}"
                writer.write(f"{head_of_answer}\r\n\r\n{answer}".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _take(self) -> str:
        self._moments.append(time.monotonic())
        await asyncio.sleep(self._delay)
        return json.dumps({"MessageId": f"{next(self._ids):012}"})

    def _figures(self) -> str:
        moments, self._moments = self._moments, []
        return json.dumps({"messages": len(moments), "seconds": moments[-1] - moments[0] if moments else 0})


if __name__ == "__main__":
    asyncio.run(Provider(float(sys.argv[1]) / 1000).serve())
