"""The command line: `rc`, also installed as `ashioto`.

Commands import what they need when they run, so that `rc --help` stays quick.
"""

from __future__ import annotations

import errno
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ashioto.cli import (
    bars_build,
    bars_chart,
    bars_read,
    bars_tail,
    dev_command,
    doctor,
    engine_run,
    hb_list,
    hb_run,
    infra_acls,
    infra_apply,
    infra_plan,
    infra_sql,
    infra_status,
    init,
    migrate_lag,
    migrate_replay,
    migrate_swap,
    migrate_undo,
    migrate_upsert,
    migrate_verify,
    schedule_check,
    schedule_import,
    schedule_show,
    ticks_send,
    ticks_simulate,
)
from ashioto.errors import AshiotoError

INTERRUPTED = 130


class Commands(TyperGroup):
    """Turns errors into a message, a hint and an exit code.

    >>> issubclass(Commands, TyperGroup)
    True
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command.

        Raises:
            typer.Exit: It failed, or was interrupted.
        """
        try:
            return super().invoke(ctx)
        except AshiotoError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def _show_version(value: bool) -> None:  # noqa: FBT001  # typer hands it over
    if value:
        from importlib.metadata import version

        typer.echo(f"ashioto {version('ashioto')}")
        raise typer.Exit


app = typer.Typer(
    name="rc",
    cls=Commands,
    help="Turns ticks into session-aligned, gap-free OHLC bars.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
bars = typer.Typer(name="bars", help="Build, read, follow and draw bars.", no_args_is_help=True)
ticks = typer.Typer(name="ticks", help="Send ticks from files, or simulate them.", no_args_is_help=True)
schedule = typer.Typer(name="schedule", help="Import, show and check the sessions of markets.", no_args_is_help=True)
engine = typer.Typer(name="engine", help="Run what is registered.", no_args_is_help=True)
hb = typer.Typer(name="hb", help="Keep bars on time, and show how that stands.", no_args_is_help=True)
migrate = typer.Typer(
    name="migrate", help="Bring history into bars, and say whether it is right.", no_args_is_help=True
)
infra = typer.Typer(name="infra", help="Plan, apply and check topics, queries and heartbeats.", no_args_is_help=True)


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Turn ticks into session-aligned, gap-free OHLC bars."""


app.command("init")(init.init)
app.command("dev")(dev_command.dev)
bars.command("build")(bars_build.build)
bars.command("read")(bars_read.read)
bars.command("tail")(bars_tail.tail)
bars.command("chart")(bars_chart.chart)
ticks.command("send")(ticks_send.send)
ticks.command("simulate")(ticks_simulate.simulate)
schedule.command("import")(schedule_import.import_)
schedule.command("show")(schedule_show.show)
schedule.command("check")(schedule_check.check)
infra.command("plan")(infra_plan.plan)
infra.command("apply")(infra_apply.apply)
infra.command("status")(infra_status.status)
infra.command("sql")(infra_sql.sql)
infra.command("acls")(infra_acls.acls)
engine.command("run")(engine_run.run)
hb.command("run")(hb_run.run)
hb.command("list")(hb_list.list_)
migrate.command("replay")(migrate_replay.replay)
migrate.command("upsert")(migrate_upsert.upsert)
migrate.command("swap")(migrate_swap.swap)
migrate.command("undo")(migrate_undo.undo)
migrate.command("verify")(migrate_verify.verify)
migrate.command("lag")(migrate_lag.lag)
app.command("doctor")(doctor.doctor)
for group in (infra, engine, hb, bars, ticks, schedule, migrate):
    app.add_typer(group)


def main() -> None:
    """Run `rc` with the arguments of the process, and leave with its exit code."""
    app()


if __name__ == "__main__":
    main()
