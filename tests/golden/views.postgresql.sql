CREATE VIEW hpo_studies AS
SELECT s.study_id, s.study_name AS study, lower(CAST(o.direction AS TEXT)) AS direction, h.metric,
    h.status, h.priority, (SELECT count(*) FROM trials AS t LEFT JOIN hpo_trial AS c ON c.trial_id = t.trial_id
        WHERE t.study_id = s.study_id AND c.confirms IS NULL) AS trials,
    (SELECT count(*) FROM trials AS t LEFT JOIN hpo_trial AS c ON c.trial_id = t.trial_id
        WHERE t.study_id = s.study_id AND c.confirms IS NULL AND t.state = 'RUNNING') AS running,
    (SELECT count(*) FROM trials AS t LEFT JOIN hpo_trial AS c ON c.trial_id = t.trial_id
        WHERE t.study_id = s.study_id AND c.confirms IS NULL AND t.state = 'COMPLETE') AS complete,
    (SELECT count(*) FROM trials AS t LEFT JOIN hpo_trial AS c ON c.trial_id = t.trial_id
        WHERE t.study_id = s.study_id AND c.confirms IS NULL AND t.state = 'PRUNED') AS pruned,
    (SELECT count(*) FROM trials AS t LEFT JOIN hpo_trial AS c ON c.trial_id = t.trial_id
        WHERE t.study_id = s.study_id AND c.confirms IS NULL AND t.state = 'FAIL') AS failed,
    to_char(to_timestamp(h.created) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at, h.code_version,
    (SELECT count(*) FROM trials AS t LEFT JOIN hpo_trial AS c ON c.trial_id = t.trial_id
        WHERE t.study_id = s.study_id AND c.confirms IS NOT NULL) AS confirmations, h.stop_reason
FROM studies AS s
LEFT JOIN study_directions AS o ON o.study_id = s.study_id AND o.objective = 0
LEFT JOIN hpo_study AS h ON h.study_id = s.study_id;

CREATE VIEW hpo_trials AS
SELECT s.study_name AS study, t.number, CAST(t.state AS TEXT) AS state, h.outcome, h.reason,
    CASE CAST(v.value_type AS TEXT)
        WHEN 'INF_POS' THEN CAST('Infinity' AS double precision) WHEN 'INF_NEG' THEN -CAST('Infinity' AS double precision) ELSE v.value END AS value,
    h.objective_sem AS sem, h.posterior_mean,
    (
        SELECT coalesce(jsonb_object_agg(p.param_name, CASE
            WHEN starts_with(p.distribution_json, '{"name": "Categorical') THEN
                CASE WHEN p.distribution_json ~ '[[ ](NaN|-?Infinity)[],]' THEN CAST('null' AS jsonb)
                ELSE CAST(p.distribution_json AS jsonb)
                    #> ARRAY['attributes', 'choices', CAST(p.param_value AS text)] END
            WHEN starts_with(p.distribution_json, '{"name": "Int') THEN to_jsonb(CAST(p.param_value AS bigint))
            ELSE to_jsonb(CAST(CAST(p.param_value AS text) AS numeric) + 0.0) END), CAST('{}' AS jsonb))
        FROM trial_params AS p WHERE p.trial_id = t.trial_id) AS parameters,
    to_char(t.datetime_start, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS started_at,
    to_char(t.datetime_complete, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS completed_at,
    h.seconds, h.meta_iterations, h.peak_memory_bytes, h.gradients, h.host, h.device, h.attempts, h.seed,
    h.checkpoint_uri, t.study_id, t.trial_id, h.posterior_sd, h.confirms,
    h.confirmed_mean, h.confirmed_sem, h.confirmed_seeds, h.confirmed_failed, h.objective_inner_steps,
    h.meta_parameters, h.violated
FROM trials AS t
JOIN studies AS s ON s.study_id = t.study_id
LEFT JOIN trial_values AS v ON v.trial_id = t.trial_id AND v.objective = 0
LEFT JOIN hpo_trial AS h ON h.trial_id = t.trial_id;

CREATE VIEW hpo_best_configs AS
SELECT s.study_name AS study, r.rank, r.number, r.value, r.sem, r.posterior_mean,
    (
        SELECT coalesce(jsonb_object_agg(p.param_name, CASE
            WHEN starts_with(p.distribution_json, '{"name": "Categorical') THEN
                CASE WHEN p.distribution_json ~ '[[ ](NaN|-?Infinity)[],]' THEN CAST('null' AS jsonb)
                ELSE CAST(p.distribution_json AS jsonb)
                    #> ARRAY['attributes', 'choices', CAST(p.param_value AS text)] END
            WHEN starts_with(p.distribution_json, '{"name": "Int') THEN to_jsonb(CAST(p.param_value AS bigint))
            ELSE to_jsonb(CAST(CAST(p.param_value AS text) AS numeric) + 0.0) END), CAST('{}' AS jsonb))
        FROM trial_params AS p WHERE p.trial_id = r.trial_id) AS parameters,
    r.seconds, r.study_id, r.trial_id, r.posterior_sd, r.confirmed_mean, r.confirmed_sem, r.confirmed_seeds,
    r.confirmed_failed, r.objective_inner_steps, r.violated
FROM (
    SELECT c.*, row_number() OVER (PARTITION BY c.study_id ORDER BY
        c.violated IS NOT NULL, c.confirmed_seeds IS NULL, coalesce(c.confirmed_failed, 0),
        coalesce(c.confirmed_mean, c.posterior_mean, c.value) IS NULL,
        CASE WHEN c.direction = 'MAXIMIZE' THEN -coalesce(c.confirmed_mean, c.posterior_mean, c.value)
             ELSE coalesce(c.confirmed_mean, c.posterior_mean, c.value) END,
        c.number) AS rank
    FROM (
        SELECT t.study_id, t.trial_id, t.number, CAST(o.direction AS TEXT) AS direction,
            CASE CAST(v.value_type AS TEXT)
        WHEN 'INF_POS' THEN CAST('Infinity' AS double precision) WHEN 'INF_NEG' THEN -CAST('Infinity' AS double precision) ELSE v.value END AS value,
            h.objective_sem AS sem, h.posterior_mean, h.posterior_sd, h.seconds,
            h.confirmed_mean, h.confirmed_sem, h.confirmed_seeds, h.confirmed_failed, h.objective_inner_steps,
            h.violated
        FROM trials AS t
        JOIN study_directions AS o ON o.study_id = t.study_id AND o.objective = 0
        LEFT JOIN trial_values AS v ON v.trial_id = t.trial_id AND v.objective = 0
        LEFT JOIN hpo_trial AS h ON h.trial_id = t.trial_id
        WHERE t.state = 'COMPLETE' AND h.confirms IS NULL
    ) AS c
) AS r
JOIN studies AS s ON s.study_id = r.study_id;

CREATE VIEW hpo_curves AS
SELECT s.study_name AS study, t.number, i.step AS meta_iteration,
    CASE CAST(i.intermediate_value_type AS TEXT)
        WHEN 'INF_POS' THEN CAST('Infinity' AS double precision) WHEN 'INF_NEG' THEN -CAST('Infinity' AS double precision) ELSE i.intermediate_value END AS value,
    r.sem, r.seconds, t.study_id, t.trial_id
FROM trial_intermediate_values AS i
JOIN trials AS t ON t.trial_id = i.trial_id
JOIN studies AS s ON s.study_id = t.study_id
LEFT JOIN hpo_report AS r ON r.trial_id = i.trial_id AND r.meta_iteration = i.step;

CREATE VIEW hpo_adaptation_curves AS
SELECT s.study_name AS study, t.number, a.split, a.inner_step, a.loss, a.loss_sem,
    a.accuracy, a.accuracy_sem, a.tasks, t.study_id, t.trial_id
FROM hpo_adaptation AS a
JOIN trials AS t ON t.trial_id = a.trial_id
JOIN studies AS s ON s.study_id = t.study_id;

CREATE VIEW hpo_workers AS
SELECT w.worker_id, w.host, w.pid, w.device, s.study_name AS study, t.number,
    to_char(to_timestamp(w.last_seen) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS last_seen_at, CAST(extract(epoch FROM clock_timestamp()) AS double precision) - w.last_seen AS silent_seconds
FROM hpo_worker AS w
LEFT JOIN trials AS t ON t.trial_id = w.trial_id
LEFT JOIN studies AS s ON s.study_id = t.study_id;
