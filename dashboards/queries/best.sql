-- The best configs of each study: by new seeds where confirmed, else posterior mean, else value.  :study, :top (default 10)
SELECT study, rank, number, value, sem, posterior_mean, seconds, parameters, posterior_sd, confirmed_mean, confirmed_sem,
    confirmed_seeds, confirmed_failed, objective_inner_steps, violated
FROM hpo_best_configs
WHERE study = coalesce(:study, study) AND rank <= coalesce(:top, 10)
ORDER BY study, rank
