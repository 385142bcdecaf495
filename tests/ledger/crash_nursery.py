"""A process that ingests in children of its own, so that each starts at once and any may be killed.

Each line on standard input is a job; the child's id comes back when it begins, and how it ended when it has:
`done`, `refused <class>: <message>` or `killed`. A job may count the steps that touch the disk and die at one of them
by its own SIGKILL, which nothing can catch. A job to be done `here` has no child: it loads the kernels for all.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.errors import CalibarError
from calibar.kernels import index, spends
from calibar.ledger import ingest as ingesting
from calibar.ledger import writer
from calibar.ledger.columns import Appender

Job = dict[str, Any]


def die_at(step: int) -> None:
    """Die before the `step`-th thing that is done to the disk."""
    left = [step]

    def dying(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return act(*arguments, **options)

        return acted

    places: list[tuple[Any, str]] = [
        (os, "fsync"),
        (Path, "replace"),
        (Path, "unlink"),
        (Path, "touch"),
        (Appender, "append"),
        (writer, "grow_file"),
        (spends, "join"),
        (spends, "withdraw"),
        (index, "forget_from"),
    ]
    for place, name in places:
        setattr(place, name, dying(getattr(place, name)))


def run(job: Job) -> str:
    """Ingest as the job says; answers how it ended."""
    setattr(os, "fsync", lambda _: None)  # noqa: B010  (the machine keeps its power, and waiting takes long)
    if job.get("die_at"):
        die_at(job["die_at"])
    if job.get("file_limit"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_limit"], job["file_limit"]))
    ingesting.COMMIT_BYTES = job["commit_bytes"]
    network = replace(NETWORKS[job["network"]], max_block_bytes=job["batch_bytes"])
    try:
        ingesting.ingest([Path(job["source"])], Path(job["ledger"]), network=network, memory_mb=0)
    except CalibarError as error:
        return f"refused {type(error).__name__}: {error}"
    return "done"


def main() -> None:
    """Serve jobs until there are no more."""
    for line in sys.stdin:
        job: Job = json.loads(line)
        if job.get("here"):
            print(json.dumps(run(job)), flush=True)
            continue
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = 3
            try:
                os.write(writing, run(job).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(writing)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        with os.fdopen(reading) as answer:
            said = answer.read()
        print(json.dumps("killed" if os.WIFSIGNALED(status) else said or "failed"), flush=True)


if __name__ == "__main__":
    main()
