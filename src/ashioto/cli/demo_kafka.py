"""`make demo-kafka`: the demo on a real broker and a real registry, which are started from packages and ended again."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ashioto.cli.demo import run
from ashioto.cli.demo_live import run_live
from ashioto.clock import SystemClock
from ashioto.errors import AshiotoError
from ashioto.log.kafka import KafkaLog, KafkaOptions
from ashioto.testing.stack import Broker, Registry

if TYPE_CHECKING:
    from ashioto.cli.dev import DevServer

PATIENCE_S: Final = 60.0
STEP_MS: Final = 1_800_000
"""An append to a cluster takes longer than one to a file, so that there are fewer."""
CLOCK: Final = SystemClock()


def play(broker: Broker, registry: Registry, out: Path) -> None:
    """Show both halves of the demo on Kafka.

    Args:
        broker: That runs.
        registry: That runs.
        out: Folder for pictures, and for what is kept on this machine.
    """
    options = KafkaOptions(
        bootstrap=broker.bootstrap, registry=registry.url, cache=out / "cache", prefix="markets.", replication=1
    )  # fmt: skip
    with KafkaLog(options) as log:
        run(log, out, ready=_await_engine, step_ms=STEP_MS)
    os.environ |= {
        "ASHIOTO_LOG__BOOTSTRAP": broker.bootstrap,
        "ASHIOTO_LOG__PREFIX": "live.",
        "ASHIOTO_SCHEMA_REGISTRY__URL": registry.url,
    }
    run_live(out / "live", kafka=True)


def _await_engine(server: DevServer) -> None:
    """Turn a project over until its engine has got its partitions from the cluster."""
    end = CLOCK.monotonic() + PATIENCE_S
    while not server.ready and CLOCK.monotonic() < end:
        server.step()
        CLOCK.sleep(0.02)


def main() -> None:
    """Run the demo; everything it makes is in one folder, and nothing runs afterwards."""
    parser = argparse.ArgumentParser(prog="make demo-kafka", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-out/kafka"), help="Folder for the pictures.")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    started = CLOCK.monotonic()
    try:
        print("Starting a broker and a schema registry; the first time their files are fetched.")
        with Broker() as broker, Registry() as registry:
            print(f"Kafka is at {broker.bootstrap}, the registry at {registry.url}.\n")
            play(broker, registry, out)
    except AshiotoError as error:
        sys.exit(str(error))
    took = CLOCK.monotonic() - started
    print(f"Broker and registry have ended. Pictures: {out}/demo.png, {out}/weekend.html. It took {took:.0f} s.")


if __name__ == "__main__":
    main()
