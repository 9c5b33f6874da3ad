-- Jobs as their owners see them. How a job moves on is in engine.sql.

-- name: insert_job
-- A job that has just been created.
insert into imputation_jobs (
    id, user_id, name, description, service_id, account_id, reference_panel_id, panel_key, panel_name, panel_version, input_format,
    build, phasing, phasing_engine, population, options, input_file_id, input_count, retry_of, batch_id, batch_position, remote_name,
    archive_secret, archive_secret_key_id, warnings, created_at, updated_at
)
values (
    :id, :user_id, :name, :description, :service_id, :account_id, :reference_panel_id, :panel_key, :panel_name, :panel_version,
    :input_format, :build, :phasing, :phasing_engine, :population, :options, :input_file_id, :input_count, :retry_of, :batch_id,
    :batch_position, :remote_name, :archive_secret, :archive_secret_key_id, :warnings, :now, :now
)
returning *

-- name: get_own_job
-- A job of a user's.
select * from imputation_jobs where id = :job_id and user_id = :user_id

-- name: get_input_count
-- How many input files a job had.
select input_count from imputation_jobs where id = :job_id

-- name: lock_own_job
-- A job of a user's, held for deletion.
select * from imputation_jobs where id = :job_id and user_id = :user_id for update

-- name: hold_job
-- A job, held against deletion until the transaction ends.
select id from imputation_jobs where id = :job_id for key share

-- name: list_jobs
-- A user's jobs, newest first.
select * from imputation_jobs
where user_id = :user_id
    and (:statuses::text[] is null or status = any(:statuses))
    and (:service_id::bigint is null or service_id = :service_id)
    and (:batch_id::uuid is null or batch_id = :batch_id)
    and (:since::timestamptz is null or created_at >= :since)
    and (:pattern::text is null or name ilike :pattern or description ilike :pattern or id::text ilike :pattern)
order by created_at desc, id limit :limit offset :offset

-- name: count_jobs
-- How many jobs of a user's there are.
select count(*) from imputation_jobs
where user_id = :user_id
    and (:statuses::text[] is null or status = any(:statuses))
    and (:service_id::bigint is null or service_id = :service_id)
    and (:batch_id::uuid is null or batch_id = :batch_id)
    and (:since::timestamptz is null or created_at >= :since)
    and (:pattern::text is null or name ilike :pattern or description ilike :pattern or id::text ilike :pattern)

-- name: hold_user
-- Let only one submission of a user's be counted at a time.
select id from users where id = :user_id for no key update

-- name: count_open_jobs
-- How many of a user's jobs have not ended.
select count(*) from imputation_jobs where user_id = :user_id and completed_at is null

-- name: ensure_account
-- The account at a service that a job uses (without user: the shared one).
with made as (
    insert into service_accounts (service_id, user_id) values (:service_id, :user_id)
    on conflict (service_id, user_id) do nothing
    returning id
)
select id from made
union all
select id from service_accounts where service_id = :service_id and user_id is not distinct from :user_id
limit 1

-- name: list_status_updates
-- The changes of a job, newest first.
select * from job_status_updates where job_id = :job_id order by id desc limit :limit offset :offset

-- name: count_status_updates
-- How many changes a job has seen.
select count(*) from job_status_updates where job_id = :job_id

-- name: list_messages
-- What the remote said about a job.
select step, level, text from job_messages where job_id = :job_id order by position

-- name: list_retries
-- The jobs that were made of a job by trying it again, newest first.
select id, name, status, created_at from imputation_jobs
where retry_of = :job_id and user_id = :user_id order by created_at desc, id limit :limit

-- name: delete_job
-- Forget a job and all that belongs to it alone.
delete from imputation_jobs where id = :job_id
