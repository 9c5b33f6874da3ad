-- The analyses of jobs' results.

-- name: ask
-- Let the results of a job be analysed, unless they were by this version of the computation.
insert into job_analyses as a (job_id, version, state) values (:job_id, :version, 'due')
on conflict (job_id) do update
set version = excluded.version, state = 'due', result = null, error = null, attempts = 0, lease_until = null, share = null, reading = null, computed_at = null
where a.version < excluded.version

-- name: find_analysis
-- The analysis of a job; how far it has come, as long as somebody has it in hand.
select job_id, version, state, result, error, attempts, computed_at,
    coalesce(state = 'due' and lease_until > :now, false) as is_begun, share, reading
from job_analyses where job_id = :job_id

-- name: list_due
-- Analyses that nobody works on.
select job_id, attempts from job_analyses
where state = 'due' and (lease_until is null or lease_until <= :now)
order by job_id limit :max_rows

-- name: claim
-- Take an analysis in hand.
update job_analyses set attempts = attempts + 1, lease_until = :until, share = null, reading = null
where job_id = :job_id and state = 'due' and (lease_until is null or lease_until <= :now)
returning attempts

-- name: tell
-- Say how far an analysis has come, unless somebody else has taken it in hand since.
update job_analyses set share = :share, reading = :reading
where job_id = :job_id and state = 'due' and attempts = :attempts

-- name: finish
-- Keep what was computed, unless somebody else has taken it in hand since (each taking counts as an attempt).
update job_analyses set state = 'done', result = :result, version = :version, error = null, lease_until = null, computed_at = :now
where job_id = :job_id and state = 'due' and attempts = :attempts

-- name: give_up
-- Say why there is no analysis, unless somebody else has taken it in hand since.
update job_analyses set state = 'failed', error = :error, lease_until = null, computed_at = :now
where job_id = :job_id and state = 'due' and attempts = :attempts

-- name: list_result_files
-- The stored result files and reports of a job.
select jf.name, f.id, f.storage_key, f.sha256
from job_files jf join files f on f.id = jf.file_id
where jf.job_id = :job_id and jf.role in ('result', 'qc') and f.storage_key is not null
order by jf.position
