"""Scopes: what they cover, when two of them could meet, and what may be said on a command line."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scenery import identity
from smoothtask.model.scope import Scope, ScopeError, parse_scope

USERS = {"root": 0, "ann": 1000, "bob": 1001}
UIDS = st.sampled_from([0, 1000, 1001, 65534])
PARTS = st.sampled_from(["user.slice", "user-1000.slice", "user-1001.slice", "system.slice", "a.scope", "a.scope2"])
PATHS = st.one_of(
    st.lists(PARTS, max_size=4).map(lambda parts: "/" + "/".join(parts)),
    st.lists(PARTS, max_size=2).map(lambda parts: "/".join(["/user.slice/user-1000.slice", *parts])),
)
SCOPES = st.one_of(st.just(Scope.everything()), UIDS.map(Scope.of_uid), PATHS.map(Scope.of_cgroup))
PROCESSES = st.builds(lambda uid, cgroup: identity(5, uid=uid, cgroup=cgroup), UIDS, st.none() | PATHS)

ANNS = Scope.of_cgroup("/user.slice/user-1000.slice")


@given(SCOPES, SCOPES)
def test_overlap_is_symmetric_and_everything_overlaps_itself(one: Scope, other: Scope) -> None:
    assert one.overlaps(other) == other.overlaps(one)
    assert one.overlaps(one)
    assert one.overlaps(Scope.everything())


@given(PROCESSES, SCOPES, SCOPES)
def test_what_two_scopes_cover_makes_them_overlap(process: object, one: Scope, other: Scope) -> None:
    """The whole point of it: no process has two masters."""
    if one.covers(process) and other.covers(process):  # type: ignore[arg-type]
        assert one.overlaps(other)


@given(PATHS, PATHS)
def test_a_cgroup_covers_its_subtree_and_nothing_beside_it(path: str, other: str) -> None:
    scope = Scope.of_cgroup(path)
    below = path.rstrip("/") + "/x"
    assert scope.covers_at(0, below)
    assert Scope.of_cgroup(below).overlaps(scope)
    if not scope.is_everything:
        assert not scope.covers_at(0, path + "2")
        assert not scope.covers_at(0, None)
        assert not scope.covers_at(0, path.rpartition("/")[0] or "/")


@given(SCOPES, SCOPES)
def test_slugs_are_file_names_of_their_own(one: Scope, other: Scope) -> None:
    assert (one.slug == other.slug) == (one == other)
    assert "/" not in one.slug
    assert len(one.slug) <= 38


@given(SCOPES)
def test_what_a_scope_calls_itself_is_understood(scope: Scope) -> None:
    assert parse_scope(scope.argument, USERS.get) == scope


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (Scope.of_uid(1000), Scope.of_uid(1001), False),
        (Scope.of_uid(1000), Scope.of_uid(1000), True),
        (Scope.of_cgroup("/a"), Scope.of_cgroup("/a/b"), True),
        (Scope.of_cgroup("/a"), Scope.of_cgroup("/ab"), False),
        (ANNS, Scope.of_uid(1001), False),
        (ANNS, Scope.of_uid(1000), True),
        (Scope.of_cgroup("/user.slice/user-1000.slice/user@1000.service/app.slice"), Scope.of_uid(1001), False),
        (Scope.of_cgroup("/user.slice"), Scope.of_uid(1001), True),
        (Scope.of_cgroup("/system.slice"), Scope.of_uid(1000), True),
        (Scope.of_cgroup("/system.slice/user-1000.slice"), Scope.of_uid(1001), True),
        (Scope.of_cgroup("/user.slice/user-1000.slice.d"), Scope.of_uid(1001), True),
    ],
)
def test_two_scopes(one: Scope, other: Scope, *, overlap: bool) -> None:
    assert one.overlaps(other) is overlap


def test_what_a_user_runs_in_anothers_slice_is_the_slices() -> None:
    """`su bob` in Ann's terminal."""
    process = identity(5, uid=1001, cgroup="/user.slice/user-1000.slice/session-2.scope")
    assert ANNS.covers(process)
    assert not Scope.of_uid(1001).covers(process)
    assert Scope.of_uid(1001).covers(identity(6, uid=1001, cgroup="/system.slice/cron.service"))


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("1000", Scope.of_uid(1000)),
        ("bob", Scope.of_uid(1001)),
        ("/", Scope.everything()),
        ("/sys/fs/cgroup", Scope.everything()),
        ("/user.slice/user-1000.slice/", ANNS),
        ("/sys/fs/cgroup/user.slice//user-1000.slice", ANNS),
        ("/sys/fs/cgroup/systemd/user.slice/user-1000.slice", ANNS),
        ("/sys/fs/cgroupie", Scope.of_cgroup("/sys/fs/cgroupie")),
    ],
)
def test_a_scope_is_understood(text: str, scope: Scope) -> None:
    assert parse_scope(text, USERS.get) == scope


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("carol", "expected a cgroup such as /user.slice/user-1000.slice, a uid or a user's name, got 'carol'"),
        ("-1", "there is no such user"),
        ("4294967295", "expected a uid below 4294967295"),
        ("9" * 400, "expected a uid below 4294967295"),
        ("/a/../b", "without . and .."),
        ("/a\x1b[31m", "printable characters"),
        ("/" + "a" * 2000, "at most 1000"),
        ("\x1b[31m", "got '\ufffd[31m'"),
        ("\u0661", "there is no such user"),  # a digit, but not one of a uid
    ],
)
def test_a_scope_that_cannot_be_meant_is_refused_with_a_reason(text: str, said: str) -> None:
    with pytest.raises(ScopeError) as refused:
        parse_scope(text, USERS.get)
    assert said in str(refused.value)


@given(st.text())
@example("/\udcff")
def test_any_text_is_a_scope_or_a_sentence(text: str) -> None:
    try:
        scope = parse_scope(text, USERS.get)
    except ScopeError as error:
        assert str(error).isprintable()  # noqa: PT017 (either way is fine)
    else:
        assert parse_scope(scope.argument, USERS.get) == scope
