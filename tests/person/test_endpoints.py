"""Which sockets are a desktop's, and whose."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.person import endpoints, unix_diag
from smoothtask.person.endpoints import Endpoint, Kind, endpoints_of, kind_of, owner_of, parse_listeners, read_endpoints


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    """A socket that is called as a compositor's."""
    path = tmp_path / "wayland-7"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp/.X11-unix/X0", Kind.X11),
        ("/run/user/1000/wayland-0", Kind.WAYLAND),
        ("/run/user/1000/wayland-0.lock", None),
        ("/run/user/1000/sway-ipc.1000.4711.sock", Kind.SWAY),
        ("/run/user/1000/hypr/abc_1/.socket2.sock", Kind.HYPRLAND),
        ("/run/user/1000/niri.wayland-1.42.sock", Kind.NIRI),
        ("/run/user/1000/pipewire-0", Kind.PIPEWIRE),
        ("/run/user/1000/pipewire-0-manager", Kind.PIPEWIRE),
        ("/run/user/1000/pulse/native", Kind.PULSE),
        ("/run/user/1000/bus", None),
        ("/somewhere/.X11-unix/X0", None),
    ],
)
def test_names_say_what_listens(path: str, kind: Kind | None) -> None:
    assert kind_of(path) is kind


def test_a_listening_socket_is_found(listening: Path) -> None:
    assert Endpoint(Kind.WAYLAND, str(listening), os.geteuid()) in read_endpoints()


def test_one_that_nobody_listens_at_is_not(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "wayland-8"))
        assert not any(e.path == str(tmp_path / "wayland-8") for e in read_endpoints())


def test_where_others_could_have_put_it_it_is_nobodys(listening: Path) -> None:
    listening.parent.chmod(0o777)
    assert owner_of(str(listening), Kind.WAYLAND) is None
    listening.parent.chmod(0o700)
    assert owner_of(str(listening), Kind.WAYLAND) == os.geteuid()


def test_a_link_to_a_socket_is_none(listening: Path) -> None:
    link = listening.with_name("wayland-9")
    link.symlink_to(listening)
    assert owner_of(str(link), Kind.WAYLAND) is None


def test_a_link_on_the_way_is_not_followed(listening: Path) -> None:
    link = listening.parent.with_name("link")
    link.symlink_to(listening.parent)
    assert owner_of(str(link / listening.name), Kind.WAYLAND) is None
    assert owner_of(f"{listening.parent}/../{listening.parent.name}/{listening.name}", Kind.WAYLAND) is None


def test_whoever_listens_at_very_many_hides_nobody_elses(listening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(endpoints, "owner_of", lambda path, _kind: looked.append(path) or 1000)
    theirs = [f"/run/user/1001/{n}/wayland-0" for n in range(5000)] + [f"/tmp/{n}/wayland-0" for n in range(5000)]
    servers = [f"/tmp/.X11-unix/X{n}" for n in range(5000)]
    mine = ["/run/user/1000/wayland-0", "/tmp/.X11-unix/X0"]
    found = {e.path for e in endpoints_of([*theirs, *servers, *mine])}
    assert found >= {*mine}
    assert len(found) < 300
    assert len(looked) <= endpoints.AT_MOST


X11 = "/tmp/.X11-unix/X"


def test_sixty_four_servers_of_another_hide_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose they are is counted, and not how many there are, with the kernel's word on who made them and without."""
    theirs = [f"{X11}{n}" for n in (*range(9), *range(10, 2000))]
    monkeypatch.setattr(endpoints, "owner_of", lambda path, _: 1000 if path == f"{X11}9" else 1001)
    mine = Endpoint(Kind.X11, f"{X11}9", 1000)
    assert mine in endpoints_of([*theirs, f"{X11}9"])
    found = endpoints._offered([*((path, 1001) for path in theirs), (f"{X11}9", 1000), (f"{X11}9", 1001)])
    assert mine in found
    assert len(found) <= 1 + endpoints.EACH_AT_MOST


def test_sockets_that_another_calls_as_mine_hide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a mount namespace of their own anybody can make one of any path; also of the very same."""
    forged = [(f"/run/user/1000/wayland-{n}", uid) for n in range(500) for uid in (1001, 100_000)]
    looked: list[str] = []
    monkeypatch.setattr(endpoints, "owner_of", lambda path, _: looked.append(path) or 1000)
    assert endpoints._offered([*forged, ("/run/user/1000/pulse/native", 1000)]) == {
        Endpoint(Kind.PULSE, "/run/user/1000/pulse/native", 1000)
    }
    assert len(looked) == 1


def test_users_that_one_lends_oneself_come_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "owner_of", lambda _path, _kind: 1000)
    lent = [(f"{X11}{n}", 100_000 + n) for n in range(9000)]
    assert Endpoint(Kind.X11, f"{X11}55555", 1000) in endpoints._offered([*lent, (f"{X11}55555", 1000)])


def test_a_newline_in_a_name_forges_no_line(listening: Path) -> None:
    """The kernel's table prints it as it is: what anybody may make is not read there."""
    forged = f"/run/user/0/{os.getpid()}/wayland-0"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0\n00000000a1b2c3d4: 00000002 00000000 00010000 0001 01 17 {forged}\n")
        server.listen()
        assert forged in parse_listeners(Path("/proc/net/unix").read_bytes())
        try:
            found = unix_diag.read_listeners()
        except OSError as error:
            pytest.skip(f"no sock_diag here: {error}")
    assert (str(listening), os.geteuid()) in found
    assert forged not in {path for path, _ in found}


def test_without_sock_diag_the_table_is_read(listening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> frozenset[tuple[str, int]]:
        raise OSError("no such family")

    monkeypatch.setattr(endpoints, "read_listeners", refuse)
    assert Endpoint(Kind.WAYLAND, str(listening), os.geteuid()) in read_endpoints()


def test_nothing_is_looked_at_elsewhere() -> None:
    assert endpoints_of(["/net/somewhere/wayland-0", "/home/me/wayland-0"]) == frozenset()


@pytest.mark.root
def test_a_folder_of_somebody_else_is_not_believed(listening: Path) -> None:
    os.chown(listening.parent, 65534, 65534)
    assert owner_of(str(listening), Kind.WAYLAND) is None
    os.chown(listening.parent, 0, 0)


def test_a_machine_that_names_no_sockets_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> frozenset[tuple[str, int]]:
        raise OSError("no such family")

    monkeypatch.setattr(endpoints, "read_listeners", refuse)
    assert read_endpoints(tmp_path) == frozenset()


@given(st.binary(max_size=400))
def test_any_table_is_read(table: bytes) -> None:
    header = b"Num       RefCount Protocol Flags    Type St Inode Path\n"
    endpoints_of(parse_listeners(header + table))
    line = b"00000000a1b2c3d4: 00000002 00000000 00010000 0001 01 17 /x/y\n"
    assert "/x/y" in parse_listeners(header + line + table)
