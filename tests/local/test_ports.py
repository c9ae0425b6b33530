import socket

import pytest

from local import ports


def test_a_free_port_can_be_listened_on() -> None:
    port = ports.free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert not ports.is_free(port)
        assert ports.accepts(port)


def test_a_taken_port_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    first = next(port for port in range(12000, 19000) if ports.is_free(port) and ports.is_free(port + 1))
    with socket.create_server(("127.0.0.1", first)):
        monkeypatch.setattr(ports, "RANGE", range(first, first + 2))
        assert ports.free_port() == first + 1


def test_no_free_port_is_an_error_that_names_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "RANGE", range(port, port + 1))
        with pytest.raises(OSError, match=f"{port}-{port}"):
            ports.free_port()
