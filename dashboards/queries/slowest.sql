-- The trials that took longest, with what made them slow.  :study, :top (default 10)
SELECT study, number, outcome, seconds, meta_iterations, seconds / nullif(meta_iterations, 0) AS seconds_per_iteration,
    peak_memory_bytes / 1048576 AS peak_memory_mib, gradients, device, parameters
FROM hpo_trials
WHERE study = coalesce(:study, study) AND seconds IS NOT NULL
ORDER BY seconds DESC, study, number
LIMIT coalesce(:top, 10)
