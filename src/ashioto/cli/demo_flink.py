"""`make demo-flink`: queries run in a real Flink, beside a broker and a registry; all are started from packages."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from ashioto.cli.demo_live import LiveDemo, run_live
from ashioto.clock import SystemClock
from ashioto.errors import AshiotoError
from ashioto.testing.stack import Broker, Flink, Registry

CLOCK: Final = SystemClock()


def play(broker: Broker, registry: Registry, flink: Flink, out: Path) -> None:
    """Show a query that runs in Flink, and what becomes of its bars when the active heartbeat is killed.

    Args:
        broker: That runs.
        registry: That runs.
        flink: That runs.
        out: Folder for the project.
    """
    os.environ |= {
        "ASHIOTO_LOG__BOOTSTRAP": broker.bootstrap,
        "ASHIOTO_LOG__PREFIX": "live.",
        "ASHIOTO_SCHEMA_REGISTRY__URL": registry.url,
        "ASHIOTO_ENGINE__KIND": "flink",
        "ASHIOTO_ENGINE__URL": flink.gateway_url,
        "ASHIOTO_ENGINE__JOBMANAGER": flink.jobmanager_url,
        "ASHIOTO_ENGINE__CHECKPOINTS": flink.checkpoints.as_uri(),
        "ASHIOTO_ENGINE__CHECKPOINT_INTERVAL": "1s",
    }
    run_live(out, kafka=True, served=True, look=_look)


def _look(demo: LiveDemo) -> None:
    """Show what runs: the job, and the statements that made it."""
    demo.tell("infra", "status", only=lambda line: "_v1" in line or "detail" in line)
    demo.tell("infra", "sql", only=lambda line: line.startswith(("CREATE", "EXECUTE", "INSERT")))


def main() -> None:
    """Run the demo; everything it makes is in one folder, and nothing runs afterwards."""
    parser = argparse.ArgumentParser(prog="make demo-flink", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-out/flink"), help="Folder for the project.")
    out: Path = parser.parse_args().out
    started = CLOCK.monotonic()
    try:
        print("Starting a broker, a schema registry and Flink; the first time their files are fetched (180 MB).")
        with Broker() as broker, Registry() as registry, Flink() as flink:
            print(f"Kafka is at {broker.bootstrap}, the registry at {registry.url}, Flink at {flink.jobmanager_url}.")
            play(broker, registry, flink, out)
    except AshiotoError as error:
        sys.exit(str(error))
    took = CLOCK.monotonic() - started
    print(f"Broker, registry and Flink have ended. The project is in {out}. It took {took:.0f} s.")


if __name__ == "__main__":
    main()
