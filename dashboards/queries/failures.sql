-- Trials that failed, the newest first, with the reason and where they ran.  :study
SELECT study, number, outcome, reason, attempts, seconds, host, device, completed_at, parameters
FROM hpo_trials
WHERE study = coalesce(:study, study) AND state = 'FAIL'
ORDER BY completed_at DESC, study, number DESC
