-- Adaptation curves: query loss and accuracy after 0..N inner steps.  :study, :trial
SELECT study, number, split, inner_step, loss, loss_sem, accuracy, accuracy_sem, tasks
FROM hpo_adaptation_curves
WHERE study = coalesce(:study, study) AND number = coalesce(:trial, number)
ORDER BY study, number, split DESC, inner_step
