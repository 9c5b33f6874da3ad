-- Events: the status updates of jobs as live streams send them. Each comes with the job as it is now.

-- name: list_user_events
-- What happened to a user's jobs after an update, oldest first.
select u.id, u.job_id, u.status, u.stage, u.progress_percentage, u.message, u.timestamp,
    j.name as job_name, j.status as job_status, j.stage as job_stage, j.progress_percentage as job_progress,
    j.hold_reason, j.queue_position, j.external_job_id, j.results_file_id, j.error_message, j.error_action,
    j.started_at, j.completed_at
from job_status_updates u join imputation_jobs j on j.id = u.job_id
where u.user_id = :user_id and u.id > :after
order by u.id limit :limit

-- name: list_job_events
-- What happened to one job of a user's after an update, oldest first.
select u.id, u.job_id, u.status, u.stage, u.progress_percentage, u.message, u.timestamp,
    j.name as job_name, j.status as job_status, j.stage as job_stage, j.progress_percentage as job_progress,
    j.hold_reason, j.queue_position, j.external_job_id, j.results_file_id, j.error_message, j.error_action,
    j.started_at, j.completed_at
from job_status_updates u join imputation_jobs j on j.id = u.job_id
where u.job_id = :job_id and u.user_id = :user_id and u.id > :after
order by u.id limit :limit

-- name: list_events_by_id
-- The named updates of a user's jobs, oldest first.
select u.id, u.job_id, u.status, u.stage, u.progress_percentage, u.message, u.timestamp,
    j.name as job_name, j.status as job_status, j.stage as job_stage, j.progress_percentage as job_progress,
    j.hold_reason, j.queue_position, j.external_job_id, j.results_file_id, j.error_message, j.error_action,
    j.started_at, j.completed_at
from job_status_updates u join imputation_jobs j on j.id = u.job_id
where u.id = any(:ids::bigint[]) and u.user_id = :user_id
order by u.id

-- name: find_last_user_event
-- The newest update among a user's jobs.
select max(id) from job_status_updates where user_id = :user_id

-- name: find_followed_job
-- Whether a job of this user's has ended, and its newest update; no row when it is not theirs.
select j.completed_at is not null as is_final,
    (select max(u.id) from job_status_updates u where u.job_id = j.id) as last_id
from imputation_jobs j where j.id = :job_id and j.user_id = :user_id

-- name: probe
-- Find out whether a connection that only listens is still one.
select 1
