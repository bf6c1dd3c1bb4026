-- Which numeric parameters go with the value: Spearman's rank correlation, its sign and its square.  :study
WITH observed AS (
    SELECT t.study, p.param_name AS parameter,
        rank() OVER (PARTITION BY t.study_id, p.param_name ORDER BY p.param_value)
            + (count(*) OVER (PARTITION BY t.study_id, p.param_name, p.param_value) - 1) / 2.0 AS x,
        rank() OVER (PARTITION BY t.study_id, p.param_name ORDER BY t.value)
            + (count(*) OVER (PARTITION BY t.study_id, p.param_name, t.value) - 1) / 2.0 AS y
    FROM hpo_trials AS t
    JOIN trial_params AS p ON p.trial_id = t.trial_id
    WHERE t.study = coalesce(:study, t.study) AND t.state = 'COMPLETE' AND t.value IS NOT NULL AND t.confirms IS NULL
        AND p.distribution_json NOT LIKE '%"CategoricalDistribution"%'
),
moments AS (
    SELECT study, parameter, count(*) AS trials, avg(x * y) - avg(x) * avg(y) AS xy,
        avg(x * x) - avg(x) * avg(x) AS xx, avg(y * y) - avg(y) * avg(y) AS yy
    FROM observed
    GROUP BY study, parameter
)
SELECT study, parameter, trials, CASE WHEN xy > 0 THEN 'rises' WHEN xy < 0 THEN 'falls' ELSE 'none' END AS value_with_it,
    xy * xy / (xx * yy) AS correlation_squared
FROM moments
WHERE xx * yy > 0
ORDER BY study, xy * xy / (xx * yy) DESC, parameter
