"""The recording server, and emcoctl run inside the test process against it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emco_emcoctl.main import run
from tests.unit.emcoctl.recorder import Recorder


@dataclass
class Ctl:
    """emcoctl in a folder of its own, with a configuration that leads to the recorder."""

    folder: Path
    recorder: Recorder
    environ: dict[str, str] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)
    now: float = 0.0
    pause: Callable[[float], None] = lambda seconds: None
    out: str = ""
    err: str = ""

    def file(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    def __call__(self, *words: str, stdin: bytes = b"") -> int:
        return self.plain("--config", "cfg.yaml", *words, stdin=stdin)

    def plain(self, *words: str, stdin: bytes = b"", stdout: io.StringIO | None = None) -> int:
        """Without naming a configuration."""
        out, err = stdout or io.StringIO(), io.StringIO()
        code = run(
            words,
            stdout=out,
            stderr=err,
            stdin=io.BytesIO(stdin),
            environ=self.environ,
            cwd=self.folder,
            sleep=self._sleep,
            clock=lambda: self.now,
        )
        self.out, self.err = out.getvalue(), err.getvalue()
        return code

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.pause(seconds)


@pytest.fixture(scope="session")
def shared_recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture
def recorder(shared_recorder: Recorder) -> Recorder:
    shared_recorder.seen.clear()
    shared_recorder.script.clear()
    return shared_recorder


@pytest.fixture
def ctl(tmp_path: Path, recorder: Recorder) -> Ctl:
    (tmp_path / "cfg.yaml").write_text(recorder.config())
    return Ctl(tmp_path, recorder, environ={"HOME": str(tmp_path)})


@pytest.fixture
def document() -> Callable[..., str]:
    """Makes the text of a document."""

    def make(anchor: str, name: str = "", more: Mapping[str, str] | None = None) -> str:
        lines = ["---", "version: emco/v2", "resourceContext:", f"  anchor: {anchor}"]
        lines += ["metadata:", f"  name: {name}"] if name else []
        lines += [f"{key}: {value}" for key, value in (more or {}).items()]
        return "\n".join(lines) + "\n"

    return make
