-- Workers: where they run, what they train, how long they have been silent.  :study
SELECT worker_id, host, pid, device, study, number, last_seen_at, silent_seconds
FROM hpo_workers
WHERE CAST(:study AS TEXT) IS NULL OR study = :study
ORDER BY host, device, pid
