"""Optuna's storage on hpo's engine: one pool, one set of connection settings, one transaction where wanted."""

from __future__ import annotations

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import scoped_session, sessionmaker

from hpo.results.urls import Location


class SharedEngineStorage(RDBStorage):
    """RDBStorage that takes an engine instead of making one."""

    def __init__(self, engine: Engine, location: Location, *, create: bool = False, check: bool = True) -> None:
        """``create`` makes Optuna's missing tables; ``check`` raises RuntimeError where they are not this Optuna's."""
        self._shared = engine
        template = location.revealed.replace("{", "{{").replace("}", "}}")  # RDBStorage formats its URL
        super().__init__(template, skip_compatibility_check=not check, skip_table_creation=not create)

    @property
    def engine(self) -> Engine:
        """The shared engine."""
        return self._shared

    @engine.setter
    def engine(self, own: Engine) -> None:
        own.dispose()  # RDBStorage.__init__ offers the engine that it made; it has not connected yet

    def new_trial(self, study_id: int) -> FrozenTrial:
        """A new RUNNING trial, as ``create_new_trial`` makes it, with its number."""
        return self._create_new_trial(study_id)

    def within(self, connection: Connection) -> SharedEngineStorage:
        """The same storage, whose writes belong to ``connection``'s transaction and are committed by its owner."""
        inner = object.__new__(type(self))
        inner.__dict__.update(self.__dict__)
        inner.scoped_session = scoped_session(sessionmaker(bind=connection, join_transaction_mode="rollback_only"))
        return inner
