"""A proxy on loopback that stands in front of ClickHouse's HTTP port and fails in the ways that a network and a server do.

Requests are read whole, so that a fault hits one request and not a place in a stream; every request gets a connection of
its own to the server, so that a restart of ClickHouse behind the proxy is not a fault of the proxy's.
"""

import select
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from workers.chaos.http_wire import Request, read_request, read_response

HOST = "127.0.0.1"
CONNECT_TIMEOUT_S = 10.0
THROTTLE_STEPS_A_S = 20  # a throttled stream moves so many times a second


class FaultKind(StrEnum):
    """What happens to a request, or with REFUSE to every connection."""

    REFUSE = "refuse"  # nothing listens; connections that are open are cut
    DELAY = "delay"  # forwarded after `seconds`
    CUT_BEFORE = "cut_before"  # cut, and the server never hears of it
    CUT_AFTER = "cut_after"  # the server has answered in full, the client gets none of it
    ERROR = "error"  # HTTP 500 as ClickHouse words it; the server never hears of it
    TOO_MANY_PARTS = "too_many_parts"  # code 252; the server never hears of it
    TOO_MANY_PARTS_AFTER = "too_many_parts_after"  # code 252, although the server has applied the request
    HANG = "hang"  # no answer for `seconds`, then cut; the server never hears of it
    THROTTLE = "throttle"  # `bytes_a_s` in each direction


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and its measure. With `inserts_only` other requests pass as if there were none."""

    kind: FaultKind
    seconds: float = 0.0
    bytes_a_s: int = 0
    inserts_only: bool = False

    def __post_init__(self) -> None:
        if self.kind in (FaultKind.DELAY, FaultKind.HANG) and self.seconds <= 0:
            raise ValueError(f"a {self.kind} lasts some seconds: set them")
        if self.kind is FaultKind.THROTTLE and self.bytes_a_s <= 0:
            raise ValueError("a throttle lets some bytes a second pass: set bytes_a_s")
        if self.kind is FaultKind.REFUSE and self.inserts_only:
            raise ValueError("a refused connection has no request yet: it cannot be for inserts only")


class FaultProxy:
    """Forwards to one server until told otherwise. Every method may be called from any thread.

    `port` is kept while it refuses connections. What is in progress when a fault is set goes on under the old one.
    """

    def __init__(self, target_host: str, target_port: int, *, port: int = 0) -> None:
        """Nothing listens yet. `port` 0 takes a free one."""
        self.port = port
        self._target = (target_host, target_port)
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._once: deque[Fault] = deque()
        self._applied: Counter[FaultKind] = Counter()
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()

    @property
    def counts(self) -> Counter[FaultKind]:
        """How many requests each fault has hit so far. REFUSE counts how often it was set: nobody hears those knock."""
        with self._lock:
            return Counter(self._applied)

    def start(self) -> Self:
        """Listens. Raises `OSError` when the port cannot be had."""
        self._stopping.clear()
        self._listen()
        return self

    def stop(self) -> None:
        """Cuts everything and returns when its threads have ended. Calling it again does nothing."""
        self._stopping.set()
        self._hang_up()
        while True:
            with self._lock:
                waiting = set(self._threads)
            if not waiting:
                return
            for thread in waiting:
                thread.join()

    def set(self, fault: Fault | None) -> None:
        """From now on every request (that it applies to) meets this fault; None: none does."""
        with self._lock:
            before, self._fault = self._fault, fault
            if fault and fault.kind is FaultKind.REFUSE:
                self._applied[FaultKind.REFUSE] += 1
        if fault and fault.kind is FaultKind.REFUSE:
            self._hang_up()
        elif before and before.kind is FaultKind.REFUSE and not self._stopping.is_set():
            self._listen()

    def once(self, fault: Fault) -> None:
        """The next request that it applies to meets this fault, before any that is set. Several queue up."""
        if fault.kind is FaultKind.REFUSE:
            raise ValueError("refusing is a state: set it, and set None to end it")
        with self._lock:
            self._once.append(fault)

    def clear(self) -> None:
        """No fault from now on: neither one that is set nor those that still wait for a request."""
        with self._lock:
            self._once.clear()
        self.set(None)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listen(self) -> None:
        with self._lock:
            if self._listener is not None:
                return
            self._listener = socket.create_server((HOST, self.port), backlog=128)
            self.port = self._listener.getsockname()[1]
            self._spawn(self._accept, self._listener)

    def _hang_up(self) -> None:
        """Nothing listens when this returns, and every open connection is cut."""
        with self._lock:
            listener, self._listener = self._listener, None
            if listener is not None:
                _shut(listener)
                listener.close()
            for connection in self._open:
                _shut(connection)

    def _spawn(self, work: Callable[[socket.socket], None], connection: socket.socket) -> None:
        """A thread that `stop` waits for. Called with the lock held."""

        def run() -> None:
            try:
                work(connection)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=f"fault-proxy-{self.port}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # hung up
            with self._lock:
                if self._listener is not listener:
                    connection.close()
                    return
                self._open.add(connection)
                self._spawn(self._serve, connection)

    def _serve(self, client: socket.socket) -> None:
        """The requests of one connection, until either side is done with it."""
        try:
            with client.makefile("rb") as reading:
                while request := read_request(reading, client):
                    if not self._answer(client, request):
                        return
        except (OSError, ValueError):
            return  # the client or the server is gone: cutting the connection is all that there is to say
        finally:
            with self._lock:
                self._open.discard(client)
            _shut(client)
            client.close()

    def _answer(self, client: socket.socket, request: Request) -> bool:
        """Whether the connection can carry another request."""
        fault = self._take(request)
        rate = 0
        match fault:
            case None:
                pass
            case Fault(kind=FaultKind.DELAY, seconds=seconds):
                if self._stopping.wait(seconds):
                    return False
            case Fault(kind=FaultKind.THROTTLE, bytes_a_s=bytes_a_s):
                rate = bytes_a_s
            case Fault(kind=FaultKind.HANG, seconds=seconds):
                self._hold(client, seconds)
                return False
            case Fault(kind=FaultKind.CUT_BEFORE):
                return False
            case Fault(kind=FaultKind.CUT_AFTER):
                self._let_server_finish(request)
                return False
            case Fault(kind=FaultKind.ERROR):
                client.sendall(_exception(241, "MEMORY_LIMIT_EXCEEDED", "Memory limit (total) exceeded"))
                return True
            case Fault(kind=kind):
                if kind is FaultKind.TOO_MANY_PARTS_AFTER:
                    self._let_server_finish(request)
                said = "Too many parts (300). Merges are processing significantly slower than inserts"
                client.sendall(_exception(252, "TOO_MANY_PARTS", said))
                return True
        reusable = True
        for piece, reusable in self._forward(request, rate):  # noqa: B007 - the last one counts
            self._send(client, piece, rate)
        return reusable

    def _take(self, request: Request) -> Fault | None:
        """The fault that this request meets, counted."""
        with self._lock:
            fault = next((fault for fault in self._once if _meets(request, fault)), None)
            if fault is not None:
                self._once.remove(fault)
            elif self._fault and _meets(request, self._fault):
                fault = self._fault
            if fault is not None:
                self._applied[fault.kind] += 1
            return fault

    def _hold(self, client: socket.socket, seconds: float) -> None:
        """Says nothing for so long, or until the client gives up or the proxy stops."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._stopping.is_set():
            gone, _, _ = select.select([client], [], [], min(left, 0.1))
            if gone:
                return

    def _let_server_finish(self, request: Request) -> None:
        for _ in self._forward(request, 0):
            pass

    def _forward(self, request: Request, rate: int) -> Iterator[tuple[bytes, bool]]:
        """Sends the request and yields the answer piece by piece, each with whether the answer tells where it ends."""
        with socket.create_connection(self._target, timeout=CONNECT_TIMEOUT_S) as server:
            server.settimeout(None)
            with self._lock:
                self._open.add(server)
            if self._stopping.is_set():
                raise ConnectionAbortedError("the proxy stops")
            try:
                self._send(server, request.head + request.body, rate)
                with server.makefile("rb") as reading:
                    yield from read_response(reading, request.method)
            finally:
                with self._lock:
                    self._open.discard(server)

    def _send(self, to: socket.socket, data: bytes, rate: int) -> None:
        if not rate:
            to.sendall(data)
            return
        size = max(1, rate // THROTTLE_STEPS_A_S)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            to.sendall(piece)
            if self._stopping.wait(len(piece) / rate):
                raise ConnectionAbortedError("the proxy stops")


def _meets(request: Request, fault: Fault) -> bool:
    return request.is_insert or not fault.inserts_only


def _exception(code: int, name: str, said: str) -> bytes:
    """An answer as ClickHouse gives it (src/Server/HTTPHandler.cpp): the code in a header, the words in the body."""
    body = f"Code: {code}. DB::Exception: {said}. ({name}) (version 26.9.1.1, injected by the fault proxy)\n".encode()
    head = (
        "HTTP/1.1 500 Internal Server Error\r\n"
        "Connection: Keep-Alive\r\n"
        "Content-Type: text/plain; charset=UTF-8\r\n"
        f"X-ClickHouse-Exception-Code: {code}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _shut(connection: socket.socket) -> None:
    """Wakes whoever reads from it or accepts on it, and tells the other side."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it was not connected any more
