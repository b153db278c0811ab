"""HTTP/2 in front of a scripted server, by the library ``h2``: so that our client is not tested with our own frames."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError

from emco_simcluster.tls import Authority, server_context


def h2_context(authority: Authority, protocol: str = "h2") -> ssl.SSLContext:
    context = server_context(authority, hosts=["127.0.0.1"])
    context.set_alpn_protocols([protocol])
    return context


@asynccontextmanager
async def fronted(backend: str, authority: Authority) -> AsyncIterator[str]:
    """The ``https`` address that speaks HTTP/2 and passes everything on to ``backend``."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with suppress(ConnectionError, ssl.SSLError, ProtocolError, asyncio.CancelledError):
                await _Front(reader, writer, session, backend).run()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=h2_context(authority))
        try:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Front:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        session: aiohttp.ClientSession,
        backend: str,
    ) -> None:
        self._reader, self._writer, self._session, self._backend = reader, writer, session, backend
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._requests: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._answers: dict[int, asyncio.Task[None]] = {}
        self._window = asyncio.Event()

    async def run(self) -> None:
        self._h2.initiate_connection()
        self._flush()
        try:
            while data := await self._reader.read(65536):
                for event in self._h2.receive_data(data):
                    self._take(event)
                self._flush()
        finally:
            for task in self._answers.values():
                task.cancel()
            await asyncio.gather(*self._answers.values(), return_exceptions=True)

    def _take(self, event: object) -> None:
        match event:
            case RequestReceived():
                headers = {str(name): str(value) for name, value in event.headers}
                self._requests[event.stream_id] = headers, bytearray()
            case DataReceived():
                self._requests[event.stream_id][1].extend(event.data)
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                answer = self._answer(event.stream_id, *self._requests.pop(event.stream_id))
                self._answers[event.stream_id] = asyncio.create_task(answer)
            case StreamReset() if event.stream_id in self._answers:
                self._answers.pop(event.stream_id).cancel()
            case WindowUpdated():
                self._window.set()

    async def _answer(self, stream: int, headers: dict[str, str], body: bytearray) -> None:
        plain = {name: value for name, value in headers.items() if not name.startswith(":")}
        async with self._session.request(
            headers[":method"], self._backend + headers[":path"], headers=plain, data=bytes(body), allow_redirects=False
        ) as response:
            hidden = ("transfer-encoding", "connection")
            shown = [(name.lower(), value) for name, value in response.headers.items() if name.lower() not in hidden]
            self._h2.send_headers(stream, [(":status", str(response.status)), *shown])
            self._flush()
            async for chunk in response.content.iter_any():
                await self._send(stream, chunk)
            self._h2.end_stream(stream)
            self._flush()

    async def _send(self, stream: int, data: bytes) -> None:
        while data:
            size = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size, len(data))
            if not size:
                self._window.clear()
                await self._window.wait()
                continue
            self._h2.send_data(stream, data[:size])
            data = data[size:]
            self._flush()
            await self._writer.drain()

    def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())
