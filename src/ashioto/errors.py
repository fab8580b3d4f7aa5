"""Every error a user can meet, as one tree.

::

    AshiotoError
    ├── UsageError          the call itself is wrong (exit code 2)
    │   └── ChainError      a step of the query chain is out of order
    ├── DefinitionError     a declared entity, query or name does not hold together
    │   └── PeriodError     a period does not parse or does not nest
    ├── ConfigError         ashioto.toml or an environment override is wrong
    ├── InputError          a file, row or value that was handed in is wrong
    ├── ScheduleError       sessions overlap, are empty, or a calendar is unknown
    ├── UnsupportedError    the chosen engine or log cannot do this
    ├── LogError            the log refused or failed
    │   ├── LogCorruptError     the file is truncated or is no log
    │   ├── LogFullError        the disk is full
    │   ├── LogBusyError        another process holds the log
    │   │   └── LockHeldError       somebody else holds this lock (exit code 5)
    │   ├── StaleEpochError     a newer writer exists (exit code 5)
    │   ├── UnknownTopicError   the topic was never created
    │   ├── SchemaError         values cannot be written or read as these columns
    │   └── RegistryError       the schema registry refused or failed
    │       └── RegistryBusyError   it does not answer now; a LogBusyError as well
    ├── EngineError         the engine refused or failed
    │   └── EngineBusyError     it does not answer now
    ├── DeployError         `infra apply` cannot go on
    │   ├── BlockedError        a change is incompatible or destructive (exit code 4)
    │   ├── StalePlanError      the saved plan is not what would be done now
    │   └── VerifyError         a registered query makes no progress
    ├── HeartbeatError      a heartbeat cannot go on
    │   ├── ClockJumpError      the clock went ahead further than time did
    │   ├── LeaseLostError      somebody else has taken over (exit code 5)
    │   └── SpecError           a specification names a topic or columns that do not exist
    ├── StackError          a broker or registry for tests cannot be had or started
    └── DecimalOverflowError  a decimal no longer fits 64 bits; names the column

A message says what and which; `hint` says the way out, and is printed as ``Hint: …`` on a line of its own.
"""

from __future__ import annotations


class AshiotoError(Exception):
    """Carries what went wrong, which object it was, and the way out.

    Args:
        message: What and which, one sentence, no full stop needed.
        hint: The way out; empty when there is none.
        ids: Machine-readable names of the objects concerned, e.g. ``topic="trading.rate"``.

    >>> print(AshiotoError("no column 'prise'", hint="did you mean 'price'?", column="prise"))
    no column 'prise'
    Hint: did you mean 'price'?
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", **ids: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.ids = ids

    def __str__(self) -> str:
        return f"{self.message}\nHint: {self.hint}" if self.hint else self.message


class UsageError(AshiotoError):
    """Says that the call itself is wrong."""

    exit_code = 2


class ChainError(UsageError):
    """Says that a step of the query chain is out of order, twice or missing."""


class DefinitionError(AshiotoError):
    """Says that a declared entity, query or name does not hold together."""


class PeriodError(DefinitionError):
    """Says that a period does not parse or does not nest."""


class ConfigError(AshiotoError):
    """Says that the configuration file or an override is wrong."""


class InputError(AshiotoError):
    """Says that a file, row or value that was handed in is wrong."""


class ScheduleError(AshiotoError):
    """Says that sessions overlap, are empty, or that a calendar is unknown."""


class UnsupportedError(AshiotoError):
    """Says that the chosen engine or log cannot do this."""


class LogError(AshiotoError):
    """Says that the log refused or failed."""


class LogCorruptError(LogError):
    """Says that a log file is truncated or is no log."""


class LogFullError(LogError):
    """Says that the disk of the log is full; nothing of the batch was written."""


class LogBusyError(LogError):
    """Says that another process held the log for too long."""


class LockHeldError(LogBusyError):
    """Says that somebody else holds a lock that only one may have at a time."""

    exit_code = 5


class StaleEpochError(LogError):
    """Says that a writer with a newer epoch exists, so this write was refused."""

    exit_code = 5


class UnknownTopicError(LogError):
    """Says that a topic was never created."""


class SchemaError(LogError):
    """Says that columns cannot be written in a schema of values, or such values not be read as these columns."""


class RegistryError(LogError):
    """Says that the schema registry refused, failed or was not reached."""


class RegistryBusyError(RegistryError, LogBusyError):
    """Says that the schema registry was not reached, or cannot answer for now."""


class EngineError(AshiotoError):
    """Says that the engine refused something or failed."""


class EngineBusyError(EngineError):
    """Says that the engine was not reached, or cannot answer for now."""


class DeployError(AshiotoError):
    """Says that `infra apply` cannot go on."""


class BlockedError(DeployError):
    """Says that a change is incompatible, or would delete what nobody named."""

    exit_code = 4


class StalePlanError(DeployError):
    """Says that a saved plan is not what would be done now."""


class VerifyError(DeployError):
    """Says that a query was registered and makes no progress."""


class HeartbeatError(AshiotoError):
    """Says that a heartbeat cannot go on."""


class ClockJumpError(HeartbeatError):
    """Says that the wall clock went ahead further than time did, and no other clock agrees."""


class LeaseLostError(HeartbeatError):
    """Says that somebody else has taken over."""

    exit_code = 5


class SpecError(HeartbeatError):
    """Says that a heartbeat specification names a topic or columns that do not exist."""


class StackError(AshiotoError):
    """Says that a broker or registry for tests cannot be had or started."""


class DecimalOverflowError(AshiotoError):
    """Says that a decimal column no longer fits into 64 bits."""
