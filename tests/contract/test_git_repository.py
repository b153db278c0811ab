"""A Git repository as rsync uses it, on a real server over HTTPS (rsync 14.1, 14.6, D10, D16)."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from emco_common.kube import errors
from emco_rsync.delivery.git.draft import Change, Draft
from emco_rsync.delivery.git.errors import NotReported
from emco_rsync.delivery.git.remote import remote_of
from emco_rsync.delivery.git.repository import GitSettings, Repository
from tests.support.gitserver import GitServer, git_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "git") as running:
        yield running


@asynccontextmanager
async def repository(server: GitServer, folder: Path, **more: float | str) -> AsyncIterator[Repository]:
    values: dict[str, str] = {}
    for pair in server.pairs(
        **{name: str(value) for name, value in more.items() if name not in ("poll", "linger", "timeout")}
    ):
        for name, value in pair.items():
            values[name] = f"{values[name]}\n{value}" if name in values else value
    if "caCert" in more:
        values["caCert"] = str(more["caCert"])
    settings = GitSettings(
        poll=float(more.get("poll", 0.1)),
        timeout=float(more.get("timeout", 20)),
        gather=0.02,
        linger=float(more.get("linger", 60)),
    )
    made = Repository(
        remote_of(values), folder, settings=settings, random=random.random, clock=time.monotonic, now=time.time
    )
    try:
        yield made
    finally:
        await made.close()
        assert not await asyncio.to_thread(folder.exists)


def put(path: str, text: str, *, subject: str = "a change") -> Change:
    directory = path.rpartition("/")[0] + "/"
    return Change((directory,), lambda draft: draft.put(path, text.encode()), subject)


async def test_changes_that_come_together_are_one_commit_and_leave_what_others_have(
    server: GitServer, tmp_path: Path
) -> None:
    async with repository(server, tmp_path / "clone") as ours:
        await asyncio.gather(*(ours.writer.write(put(f"a/{n}", str(n))) for n in range(50)))

    assert server.files() == {"README.md": "of others\n"} | {f"a/{n}": str(n) for n in range(50)}
    assert server.messages() == ["a change", "first"]


async def test_what_is_there_already_makes_no_commit(server: GitServer, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        async with repository(server, tmp_path / folder) as ours:
            await ours.writer.write(put("a/x", "1"))
            await ours.writer.write(put("a/x", "1"))

    assert server.messages() == ["a change", "first"]


@pytest.mark.robustness(42)
async def test_two_writers_of_one_branch_lose_nothing(server: GitServer, tmp_path: Path) -> None:
    async with repository(server, tmp_path / "one") as one, repository(server, tmp_path / "two") as two:
        for n in range(4):
            await asyncio.gather(
                one.writer.write(put(f"one/{n}", "1")), two.writer.write(put(f"two/{n}", "2")),
            )  # fmt: skip
            server.commit({f"foreign/{n}": "x"})

    names = {f"{folder}/{n}" for folder in ("one", "two", "foreign") for n in range(4)}
    assert set(server.files()) == {"README.md", *names}


async def test_a_change_is_made_anew_on_what_others_have_pushed(server: GitServer, tmp_path: Path) -> None:
    def once(draft: Draft) -> None:
        if not draft.has("a/x"):
            draft.put("a/x", b"ours")

    async with repository(server, tmp_path / "clone") as ours:
        await ours.writer.write(put("a/y", "1"))
        server.commit({"a/x": "theirs"})
        await ours.writer.write(Change(("a/",), once, "b"))

    assert server.files()["a/x"] == "theirs"


async def test_what_the_server_refuses_is_told_in_its_words_and_keeps_no_other_from_being_pushed(
    server: GitServer, tmp_path: Path
) -> None:
    server.refuse("secrets are not welcome", pattern="^bad/")
    async with repository(server, tmp_path / "clone") as ours:
        bad, good = await asyncio.gather(
            ours.writer.write(put("bad/x", "1", subject="bad")),
            ours.writer.write(put("good/x", "1", subject="good")),
            return_exceptions=True,
        )

    assert isinstance(bad, errors.Forbidden)
    assert "secrets are not welcome" in str(bad)
    assert good is None
    assert set(server.files()) == {"README.md", "good/x"}


async def test_a_wrong_token_is_unauthorized_and_never_told(server: GitServer, tmp_path: Path) -> None:
    server.user, server.token = "bot", "other"
    async with repository(server, tmp_path / "clone", gitToken="t0ken-CANARY-1") as ours:
        for attempt in (ours.check_rights(), ours.writer.write(put("a/x", "1"))):
            with pytest.raises(errors.Unauthorized) as refused:
                await attempt
            assert "CANARY" not in str(refused.value)


async def test_rights_to_push_are_known_without_a_push(server: GitServer, tmp_path: Path) -> None:
    async with repository(server, tmp_path / "clone") as ours:
        await ours.check_rights()

    assert list(server.branches()) == ["main"]


async def test_a_server_that_is_away_is_unreachable_and_then_used_again(server: GitServer, tmp_path: Path) -> None:
    async with repository(server, tmp_path / "clone") as ours:
        server.away = True
        with pytest.raises(errors.Unreachable):
            await ours.writer.write(put("a/x", "1"))
        server.away = False
        await ours.writer.write(put("a/x", "1"))

    assert "a/x" in server.files()


async def test_a_server_that_nobody_vouches_for_is_not_spoken_to(server: GitServer, tmp_path: Path) -> None:
    async with repository(server, tmp_path / "clone", caCert="") as ours:
        with pytest.raises(errors.Unreachable, match="certificate"):
            await ours.check()

    assert server.requests == []


@pytest.mark.robustness(18)
async def test_a_server_that_never_answers_is_given_up_in_time_and_nothing_is_left_running(
    server: GitServer, tmp_path: Path
) -> None:
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(60), "127.0.0.1", 0)
    url = f"https://127.0.0.1:{silent.sockets[0].getsockname()[1]}/edge.git"
    async with repository(server, tmp_path / "clone", url=url, timeout=0.5) as ours:
        with pytest.raises(errors.Unreachable, match="did not end within 0.5 s"):
            await ours.writer.write(put("a/x", "1"))
        left = await asyncio.to_thread(children)
    silent.close()

    assert left == []


async def test_a_broken_clone_is_had_anew(server: GitServer, tmp_path: Path) -> None:
    async with repository(server, tmp_path / "clone") as ours:
        await ours.writer.write(put("a/x", "1"))
        await asyncio.to_thread(lambda: (tmp_path / "clone" / "main" / "config").write_text("[nonsense"))
        for _ in range(3):
            with pytest.raises(errors.KubeError):
                await ours.writer.write(put("a/y", "2"))
        await ours.writer.write(put("a/y", "2"))

    assert server.files()["a/y"] == "2"


def children() -> list[str]:
    """Programs called git that this process has started and that run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")
            if fields[0].endswith("(git") and fields[2].split()[0] != "Z" and fields[2].split()[1] == str(os.getpid()):
                found.append(process.name)
    return found


async def test_a_missing_branch_is_named(server: GitServer, tmp_path: Path) -> None:
    async with repository(server, tmp_path / "clone", branch="elsewhere") as ours:
        with pytest.raises(errors.Unreachable, match="no branch elsewhere"):
            await ours.check()


async def test_an_empty_repository_gets_its_branch_with_the_first_commit(server: GitServer, tmp_path: Path) -> None:
    server.git("update-ref", "-d", "refs/heads/main")
    async with repository(server, tmp_path / "clone") as ours:
        await ours.check()
        await ours.writer.write(put("a/x", "1"))

    assert server.files() == {"a/x": "1"}


async def test_reports_are_read_when_they_are_new_and_removed_when_their_deployment_is_gone(
    server: GitServer, tmp_path: Path
) -> None:
    async with repository(server, tmp_path / "clone", linger=0.3) as ours:
        leave = ours.statuses.join("p+c")
        with pytest.raises(NotReported):
            await ours.statuses.report("p+c", within=0.01)
        ours.start()
        await ours.writer.write(put("clusters/p+c/context/7/app/web/7-web.yaml", "{}"))
        path = "clusters/p+c/status/7/app/web/7-web"
        server.commit({path: "{}", "clusters/p+d/status/1/app/a/1-a": "{}"}, branch="p+c")
        first = await ours.statuses.report("p+c", within=10)
        server.commit({path: '{"status":{}}'}, branch="p+c")
        await ours.statuses.changed("p+c", first.version, within=10)
        second = await ours.statuses.report("p+c", within=10)

        assert dict(first.files) == {"7/app/web/7-web": b"{}"}
        assert dict(second.files) == {"7/app/web/7-web": b'{"status":{}}'}
        server.commit({"clusters/p+c/context/7/app/web/7-web.yaml": None})
        await server.until(lambda: path not in server.files("p+c"))
        assert "clusters/p+d/status/1/app/a/1-a" in server.files("p+c")
        leave()


async def test_a_monitor_that_needs_its_branch_finds_it(server: GitServer, tmp_path: Path) -> None:
    async with repository(server, tmp_path / "clone", gitType="GitHub", linger=0.2) as ours:
        leave = ours.statuses.join("p+c")
        ours.start()
        await ours.writer.write(put("clusters/p+c/context/7/app/web/7-web.yaml", "{}"))
        await server.until(lambda: "p+c-7-web" in server.branches())
        server.commit({"clusters/p+c/status/7/app/web/7-web": "{}"}, branch="p+c-7-web")
        report = await ours.statuses.report("p+c", within=10)
        server.commit({"clusters/p+c/context/7/app/web/7-web.yaml": None})
        await server.until(lambda: "p+c-7-web" not in server.branches())
        leave()

    assert "README.md" in server.files()
    assert set(report.files) <= {"7/app/web/7-web"}
