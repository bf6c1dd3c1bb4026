-- Learning curves: the objective at every rung of every trial.  :study, :trial
SELECT study, number, meta_iteration, value, sem, seconds
FROM hpo_curves
WHERE study = coalesce(:study, study) AND number = coalesce(:trial, number)
ORDER BY study, number, meta_iteration
