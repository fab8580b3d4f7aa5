"""An engine on Kafka: `python engine_processes.py <bootstrap> <registry> <prefix> <folder> <session seconds>`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from tests.support_host import ENV
from tests.support_kafka_log import open_kafka_log

from ashioto.cli.engine_run import engine_host
from ashioto.cli.stopping import Stopping
from ashioto.clock import SystemClock


def main(kafka: str, registry: str, prefix: str, folder: str, session_s: str) -> None:
    """Run until SIGTERM."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(relativeCreated)d %(name)s %(message)s")
    with open_kafka_log(kafka, registry, prefix, Path(folder), session_timeout_s=float(session_s)) as log:
        host = engine_host(log, env=ENV, clock=SystemClock())
        with Stopping() as stopping:
            try:
                while not stopping:
                    if not host.step():
                        stopping.wait(host.pause())
            finally:
                host.finish()


if __name__ == "__main__":
    main(*sys.argv[1:])
