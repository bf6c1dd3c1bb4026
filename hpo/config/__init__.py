"""Study configs: what is tuned, on which tasks, how, and where."""

from hpo.config.load import load_study_config
from hpo.config.problems import InvalidConfig
from hpo.config.study import SHAPELESS, StudyConfig, TrialConfig

__all__ = ["SHAPELESS", "InvalidConfig", "StudyConfig", "TrialConfig", "load_study_config"]
