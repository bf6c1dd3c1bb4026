"""Every error that hpo raises on purpose.

    HpoError
    ├── InputError              what the user gave is wrong; nothing was created or changed        (exit code 2)
    │   ├── ConfigError         a study config, with file and line
    │   ├── StudyNotFound       no study of that name in the database
    │   ├── TrialNotFound       no trial of that number in the study
    │   ├── StudyConflict       a study of that name exists with another config
    │   ├── QueryError          a query that is unknown, not read-only or not SQL
    │   ├── MissingExtra        an optional dependency is not installed
    │   └── DeviceNotFound      a device was asked for that this machine does not have
    ├── StorageError            the database                                                       (exit code 1)
    │   ├── StorageUnreachable  no answer, wrong credentials, no such file, not a database
    │   ├── StorageReadOnly     it answers but cannot be written
    │   └── SchemaMismatch      its tables are older or newer than this code
    ├── LeaseLost               another worker has taken over the trial; its run is to be discarded
    └── TrialFailure            a trial failed in a way that is data for the sampler
        ├── Diverged            the loss or its gradient is no longer finite
        └── OutOfMemory         the device's or the host's memory is exhausted

A message says what is wrong, where, what was expected and what to do next.
"""

from __future__ import annotations


class HpoError(Exception):
    """Base of the tree above; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class InputError(HpoError):
    """What the user gave is wrong; nothing was created or changed."""

    exit_code = 2


class ConfigError(InputError):
    """A study config is wrong; the message starts with ``file:line``."""


class StudyNotFound(InputError):
    """No study of that name in the database."""


class TrialNotFound(InputError):
    """No trial of that number in the study."""


class StudyConflict(InputError):
    """A study of that name exists with another config."""


class QueryError(InputError):
    """A query that is unknown, not read-only or not SQL."""


class MissingExtra(InputError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed: run  pip install 'hpo[{extra}]'"
        )


class DeviceNotFound(InputError):
    """A device was asked for that this machine does not have."""


class StorageError(HpoError):
    """The database could not be used."""


class StorageUnreachable(StorageError):
    """No answer, wrong credentials, no such file, or not a database."""


class StorageReadOnly(StorageError):
    """The database answers but cannot be written."""


class SchemaMismatch(StorageError):
    """The tables are older or newer than this code."""


class LeaseLost(HpoError):
    """Another worker has taken over the trial; its run is to be discarded."""


class TrialFailure(HpoError):
    """A trial failed in a way that is data for the sampler."""


class Diverged(TrialFailure):
    """The loss or its gradient is no longer finite."""


class OutOfMemory(TrialFailure):
    """The device's or the host's memory is exhausted."""
