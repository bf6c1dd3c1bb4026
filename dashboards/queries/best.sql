-- The best trials of each study: posterior mean where known, else value.  :study, :top (default 10)
SELECT study, rank, number, value, sem, posterior_mean, seconds, parameters
FROM hpo_best_configs
WHERE study = coalesce(:study, study) AND rank <= coalesce(:top, 10)
ORDER BY study, rank
