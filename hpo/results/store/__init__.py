"""The only writer.  Every function takes the database first; LeaseLost means: stop, another worker has the trial."""

from hpo.results.counts import count_trials
from hpo.results.rows import Abandoned, Repeat, StudyStatus, Taken, TrialCounts
from hpo.results.store.asking import asking, new_trial
from hpo.results.store.confirming import plan_confirmation, record_confirmed
from hpo.results.store.ending import reopen_search, stop_search
from hpo.results.store.leases import FIRST, abandoned, begin_trial, release, release_worker, renew, take_over
from hpo.results.store.remembered import recall_tasks, remember_tasks
from hpo.results.store.studies import create_study, set_status, set_warm_start, update_study_config
from hpo.results.store.trials import finish, record_checkpoint, report, set_posterior
from hpo.results.store.workers import heartbeat, remove_worker

__all__ = [
    "FIRST",
    "Abandoned",
    "Repeat",
    "StudyStatus",
    "Taken",
    "TrialCounts",
    "abandoned",
    "asking",
    "begin_trial",
    "count_trials",
    "create_study",
    "finish",
    "heartbeat",
    "new_trial",
    "plan_confirmation",
    "recall_tasks",
    "record_checkpoint",
    "record_confirmed",
    "release",
    "release_worker",
    "remember_tasks",
    "remove_worker",
    "renew",
    "reopen_search",
    "report",
    "set_posterior",
    "set_status",
    "set_warm_start",
    "stop_search",
    "take_over",
    "update_study_config",
]
