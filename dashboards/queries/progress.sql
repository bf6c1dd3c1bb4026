-- The best value so far after each completed trial, of those that violate no constraint.  :study
SELECT t.study, t.number, t.completed_at, t.value,
    CASE s.direction WHEN 'maximize' THEN max(f.value) OVER earlier ELSE min(f.value) OVER earlier END AS best_so_far
FROM hpo_trials AS t
LEFT JOIN hpo_trials AS f ON f.trial_id = t.trial_id AND f.violated IS NULL
JOIN hpo_studies AS s ON s.study_id = t.study_id
WHERE t.study = coalesce(:study, t.study) AND t.state = 'COMPLETE' AND t.confirms IS NULL
WINDOW earlier AS (PARTITION BY t.study_id ORDER BY t.completed_at, t.number)
ORDER BY t.study, t.completed_at, t.number
