-- The trials that no other one beats in both value and seconds (their Pareto front), the quickest first.  :study
WITH finished AS (
    SELECT t.study_id, t.number, t.seconds, CASE s.direction WHEN 'maximize' THEN -t.value ELSE t.value END AS cost
    FROM hpo_trials AS t
    JOIN hpo_studies AS s ON s.study_id = t.study_id
    WHERE t.outcome = 'ok' AND t.confirms IS NULL AND t.violated IS NULL
)
SELECT t.study, t.number, t.value, t.sem, t.seconds, t.peak_memory_bytes, t.meta_parameters, t.parameters
FROM hpo_trials AS t
JOIN finished AS f ON f.study_id = t.study_id AND f.number = t.number
WHERE t.study = coalesce(:study, t.study) AND NOT EXISTS (
    SELECT 1 FROM finished AS o
    WHERE o.study_id = f.study_id AND o.cost <= f.cost AND o.seconds <= f.seconds
        AND (o.cost < f.cost OR o.seconds < f.seconds))
ORDER BY t.study, t.seconds, t.number
