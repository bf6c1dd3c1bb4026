-- The best value so far after each completed trial.  :study
SELECT t.study, t.number, t.completed_at, t.value,
    CASE s.direction WHEN 'maximize' THEN max(t.value) OVER earlier ELSE min(t.value) OVER earlier END AS best_so_far
FROM hpo_trials AS t
JOIN hpo_studies AS s ON s.study_id = t.study_id
WHERE t.study = coalesce(:study, t.study) AND t.state = 'COMPLETE' AND t.confirms IS NULL
WINDOW earlier AS (PARTITION BY t.study_id ORDER BY t.completed_at, t.number)
ORDER BY t.study, t.completed_at, t.number
