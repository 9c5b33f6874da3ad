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

-- name: list_own_details
-- Jobs, each asked for by its owner, with its place among the questions; a job of somebody else's is not there. With their input files
-- as files.list_job_files gives them, as the text of JSON: it is read into records at once.
select asked.place, j.*, (
    select json_agg(json_build_object('job_id', jf.job_id, 'file_id', jf.file_id, 'role', jf.role, 'name', jf.name, 'position', jf.position,
        'shown_name', f.name, 'size_bytes', f.size_bytes, 'sha256', f.sha256, 'content_type', f.content_type,
        'created_at', f.created_at) order by jf.position)::text
    from job_files jf join files f on f.id = jf.file_id where jf.job_id = j.id and jf.role = 'input'
) as inputs
from unnest(:job_ids::uuid[], :user_ids::bigint[]) with ordinality as asked (job_id, user_id, place)
    join imputation_jobs j on j.id = asked.job_id and j.user_id = asked.user_id

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
-- A user's jobs in an order (app.core.listing.JobOrder). The planner knows the order when it plans, and drops the other cases.
select * from imputation_jobs
where user_id = :user_id
    and (:statuses::text[] is null or status = any(:statuses))
    and (:service_id::bigint is null or service_id = :service_id)
    and (:batch_id::uuid is null or batch_id = :batch_id)
    and (:since::timestamptz is null or created_at >= :since)
    and (:until::timestamptz is null or created_at < :until)
    and (:pattern::text is null or name ilike :pattern or description ilike :pattern or id::text ilike :pattern)
order by case when :order::text = 'oldest' then created_at end,
    case when :order = 'name' then lower(name) end,
    case when :order = 'status' then array_position('{pending,queued,running,completed,failed,cancelled}'::text[], status) end,
    case when :order = 'progress' then progress_percentage end desc,
    case when :order = 'duration' then coalesce(completed_at, :now::timestamptz) - started_at end desc nulls last,
    created_at desc, id
limit :limit offset :offset

-- name: list_rows
-- Likewise, and only what a list shows of them; names are looked up for those of the page alone, after it is ordered and cut.
select page.*,
    (select s.name from services s where s.id = page.service_id) as service_name,
    (select b.name from batches b where b.id = page.batch_id) as batch_name,
    (select f.name from files f where f.id = page.input_file_id) as input_name
from (
    select id, name, status, stage, hold_reason, progress_percentage, service_id, panel_name, batch_id, retry_of, input_count,
        queue_position, error_message, error_action, results_file_id, cancel_requested_at, created_at, started_at, completed_at,
        input_file_id
    from imputation_jobs
    where user_id = :user_id
        and (:statuses::text[] is null or status = any(:statuses))
        and (:service_id::bigint is null or service_id = :service_id)
        and (:batch_id::uuid is null or batch_id = :batch_id)
        and (:since::timestamptz is null or created_at >= :since)
        and (:until::timestamptz is null or created_at < :until)
        and (:pattern::text is null or name ilike :pattern or description ilike :pattern or id::text ilike :pattern)
    order by case when :order::text = 'oldest' then created_at end,
        case when :order = 'name' then lower(name) end,
        case when :order = 'status' then array_position('{pending,queued,running,completed,failed,cancelled}'::text[], status) end,
        case when :order = 'progress' then progress_percentage end desc,
        case when :order = 'duration' then coalesce(completed_at, :now::timestamptz) - started_at end desc nulls last,
        created_at desc, id
    limit :limit offset :offset
) page

-- name: get_row
-- One job of a user's, as a list shows it.
select id, name, status, stage, hold_reason, progress_percentage, service_id, panel_name, batch_id, retry_of, input_count,
    queue_position, error_message, error_action, results_file_id, cancel_requested_at, created_at, started_at, completed_at,
    (select s.name from services s where s.id = service_id) as service_name,
    (select b.name from batches b where b.id = batch_id) as batch_name,
    (select f.name from files f where f.id = input_file_id) as input_name
from imputation_jobs where id = :job_id and user_id = :user_id

-- name: list_rows_by_id
-- Some jobs of a user's, as a list shows them.
select id, name, status, stage, hold_reason, progress_percentage, service_id, panel_name, batch_id, retry_of, input_count,
    queue_position, error_message, error_action, results_file_id, cancel_requested_at, created_at, started_at, completed_at,
    (select s.name from services s where s.id = service_id) as service_name,
    (select b.name from batches b where b.id = batch_id) as batch_name,
    (select f.name from files f where f.id = input_file_id) as input_name
from imputation_jobs where id = any(:ids::uuid[]) and user_id = :user_id

-- name: list_finished
-- The jobs of a user's that ended last.
select id, name, status, stage, hold_reason, progress_percentage, service_id, panel_name, batch_id, retry_of, input_count,
    queue_position, error_message, error_action, results_file_id, cancel_requested_at, created_at, started_at, completed_at,
    (select s.name from services s where s.id = service_id) as service_name,
    (select b.name from batches b where b.id = batch_id) as batch_name,
    (select f.name from files f where f.id = input_file_id) as input_name
from imputation_jobs
where user_id = :user_id and completed_at is not null
order by completed_at desc limit :limit

-- name: list_held
-- The jobs of a user's that stand at one of these stages, the oldest first.
select id, name, status, stage, hold_reason, progress_percentage, service_id, panel_name, batch_id, retry_of, input_count,
    queue_position, error_message, error_action, results_file_id, cancel_requested_at, created_at, started_at, completed_at,
    (select s.name from services s where s.id = service_id) as service_name,
    (select b.name from batches b where b.id = batch_id) as batch_name,
    (select f.name from files f where f.id = input_file_id) as input_name
from imputation_jobs
where user_id = :user_id and status in ('pending', 'queued', 'running') and stage = any(:stages::text[])
order by created_at limit :limit

-- name: list_unseen_failures
-- The jobs of a user's that failed lately, whose notice was not read and which were not tried again.
select id, name, status, stage, hold_reason, progress_percentage, service_id, panel_name, batch_id, retry_of, input_count,
    queue_position, error_message, error_action, results_file_id, cancel_requested_at, created_at, started_at, completed_at,
    (select s.name from services s where s.id = service_id) as service_name,
    (select b.name from batches b where b.id = batch_id) as batch_name,
    (select f.name from files f where f.id = input_file_id) as input_name
from imputation_jobs j
where user_id = :user_id and completed_at >= :since and status = 'failed'
    and exists (select from notifications n where n.job_id = j.id and n.type = 'job_failed' and not n.is_read)
    and not exists (select from imputation_jobs again where again.retry_of = j.id)
order by completed_at desc limit :limit

-- name: list_parting
-- The jobs of a user's whose results are deleted before a time, the first to go first.
select j.id, j.name, f.expires_at, f.size_bytes
from files f join imputation_jobs j on j.results_file_id = f.id
where f.user_id = :user_id and f.kind = 'archive' and f.expires_at between :now and :until
order by f.expires_at limit :limit

-- name: count_jobs
-- How many jobs of a user's there are in each status.
select status, count(*) as jobs from imputation_jobs
where user_id = :user_id
    and (:service_id::bigint is null or service_id = :service_id)
    and (:batch_id::uuid is null or batch_id = :batch_id)
    and (:since::timestamptz is null or created_at >= :since)
    and (:until::timestamptz is null or created_at < :until)
    and (:pattern::text is null or name ilike :pattern or description ilike :pattern or id::text ilike :pattern)
group by status

-- name: count_all
-- Likewise for all jobs of a user, however many, from the tallies.
select status, sum(jobs)::bigint as jobs from job_tallies where user_id = :user_id group by status having sum(jobs) > 0

-- name: fold_tallies
-- Make one tally of many, for users with more than a few. Every look sees either the many or the one.
with gone as (
    delete from job_tallies
    where user_id in (select user_id from job_tallies group by user_id having count(*) > :most::bigint limit :users)
    returning user_id, status, jobs
)
insert into job_tallies
select user_id, status, sum(jobs) from gone group by user_id, status having sum(jobs) <> 0

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
