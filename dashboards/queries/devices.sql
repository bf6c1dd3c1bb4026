-- Throughput and memory of each device.  :study
SELECT study, host, device, count(*) AS trials, avg(seconds) AS mean_seconds,
    sum(meta_iterations) / nullif(sum(seconds), 0) AS iterations_per_second,
    max(peak_memory_bytes) / 1048576 AS peak_memory_mib
FROM hpo_trials
WHERE study = coalesce(:study, study) AND seconds IS NOT NULL
GROUP BY study, host, device
ORDER BY study, trials DESC, host, device
