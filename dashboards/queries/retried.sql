-- Trials that needed more than one attempt: their worker or runner died.  :study
SELECT study, number, attempts, state, outcome, reason, host, device
FROM hpo_trials
WHERE study = coalesce(:study, study) AND attempts > 1
ORDER BY attempts DESC, study, number
