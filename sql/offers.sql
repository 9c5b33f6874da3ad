-- What services offer to somebody who is about to submit.

-- name: list_usual_durations
-- In how many seconds half of a service's latest jobs were done, and nine of ten, from our yes to the results here, among those that
-- ended since a time, and how many they were; of one service, or of all active ones. At most 200 jobs of a service are looked at
-- (jobs_completed_of_service).
select s.id as service_id, latest.jobs, latest.median_s, latest.p90_s
from services s cross join lateral (
    select count(*) as jobs, percentile_cont(0.5) within group (order by took_s) as median_s,
        percentile_cont(0.9) within group (order by took_s) as p90_s
    from (
        select extract(epoch from completed_at - created_at)::double precision as took_s
        from imputation_jobs
        where service_id = s.id and status = 'completed' and completed_at > :since
        order by completed_at desc
        limit 200
    ) done
) latest
where (s.id = :service_id or (:service_id::bigint is null and s.is_active)) and latest.jobs > 0
