-- How trials ended and what that cost: count, share of the study, hours.  :study
SELECT study, coalesce(outcome, lower(state)) AS outcome, count(*) AS trials,
    count(*) * 1.0 / sum(count(*)) OVER (PARTITION BY study) AS share, sum(seconds) / 3600.0 AS hours
FROM hpo_trials
WHERE study = coalesce(:study, study)
GROUP BY study, coalesce(outcome, lower(state))
ORDER BY study, trials DESC, outcome
