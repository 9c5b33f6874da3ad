-- The engine's queries: what is due, who has it in hand, and the one way in which a job changes.

-- name: read_clock
-- The database's time: processes on different machines compare their leases by it.
select clock_timestamp()

-- name: get_job
-- A job, whole.
select * from imputation_jobs where id = :job_id

-- name: write_job
-- Change a job by compare-and-set on its status and step (with `seen`, on the whole row); `patch` holds the columns that
-- differ. A requested cancellation takes precedence over any other next action, and progress never goes back.
with old as (
    select j from imputation_jobs j
    where j.id = :job_id and j.status = :old_status and j.step_number = :step_number
        and (:seen::timestamptz is null or j.updated_at = :seen)
    for update
), new as (
    select (jsonb_populate_record(old.j, :patch)).* from old
)
update imputation_jobs j set
    status = new.status,
    stage = new.stage,
    hold_reason = new.hold_reason,
    progress_percentage = greatest(j.progress_percentage, new.progress_percentage),
    results_file_id = new.results_file_id,
    error_code = new.error_code,
    error_message = new.error_message,
    error_action = new.error_action,
    external_job_id = new.external_job_id,
    remote_state = new.remote_state,
    remote_step = new.remote_step,
    queue_position = new.queue_position,
    results_expire_at = new.results_expire_at,
    outcome = new.outcome,
    next_action = case
        when new.next_action is not null and j.cancel_requested_at is not null then 'cancel'
        else new.next_action
    end,
    next_action_at = case
        when new.next_action <> 'cancel' and j.cancel_requested_at is not null then now()
        else new.next_action_at
    end,
    lease_owner = new.lease_owner,
    lease_until = new.lease_until,
    failures = new.failures,
    has_slot = new.has_slot,
    intent_at = new.intent_at,
    searches = new.searches,
    doubts = new.doubts,
    unclear_answers = new.unclear_answers,
    missing_since = new.missing_since,
    cancel_taken_at = new.cancel_taken_at,
    results_held = new.results_held,
    notified_waiting_at = new.notified_waiting_at,
    started_at = new.started_at,
    submitted_at = new.submitted_at,
    completed_at = new.completed_at
from new
where j.id = new.id
returning j.*

-- name: commit_without_waiting
-- Let this transaction's commit return before it is on the disk. A crash of the database may lose it, whole, and nothing before it.
select set_config('synchronous_commit', 'off', true)

-- name: insert_status_update
-- Tell a change to the job's owner; a trigger announces it to all processes.
insert into job_status_updates (job_id, user_id, status, stage, progress_percentage, message)
values (:job_id, :user_id, :status, :stage, :progress_percentage, :message)
returning id

-- name: list_due_steps
-- Due collections and cancellations that nobody has in hand: of each kind at most `per_service` of one service at a time,
-- results that the remote will delete first, then the oldest.
with busy as (
    select service_id, next_action, count(*) as n from imputation_jobs
    where next_action in ('collect', 'cancel') and lease_until > :now
    group by service_id, next_action
), due as (
    select id, service_id, next_action, step_number, next_action_at,
        row_number() over (
            partition by service_id, next_action order by results_expire_at nulls last, next_action_at
        ) as place
    from imputation_jobs
    where next_action in ('collect', 'cancel') and next_action_at <= :now
        and (lease_until is null or lease_until <= :now)
)
select due.id, due.service_id, due.next_action, due.step_number
from due left join busy using (service_id, next_action)
where due.place + coalesce(busy.n, 0) <= :per_service
order by due.next_action_at
limit :max_rows

-- name: list_due_accounts
-- Accounts with a due submission that nobody has in hand, at most `per_service` of one service at a time.
with busy as (
    select service_id, count(*) as n from service_accounts where submit_lease_until > :now group by service_id
), due as (
    select account_id, min(next_action_at) as since from imputation_jobs
    where next_action = 'submit' and next_action_at <= :now and (lease_until is null or lease_until <= :now)
    group by account_id
), free as (
    select a.id, a.service_id, a.submit_epoch, due.since,
        row_number() over (partition by a.service_id order by due.since) as place
    from due join service_accounts a on a.id = due.account_id
    where a.submit_lease_until is null or a.submit_lease_until <= :now
)
select free.id, free.service_id, free.submit_epoch
from free left join busy using (service_id)
where free.place + coalesce(busy.n, 0) <= :per_service
order by free.since
limit :max_rows

-- name: claim_step
-- Take a due step in hand, unless its service has as many of its kind in hand as it may; the step number fences off whoever
-- had it before.
update imputation_jobs j set lease_owner = :owner, lease_until = :lease_until, step_number = step_number + 1
where id = :job_id and next_action = :action and next_action_at <= :now
    and (lease_until is null or lease_until <= :now)
    and (
        select count(*) from imputation_jobs o
        where o.next_action = :action and o.service_id = j.service_id and o.lease_until > :now
    ) < :per_service
returning *

-- name: claim_decision
-- Take a job that waits for its owner's decision, inside the transaction that carries it out, unless a search for it is under way.
update imputation_jobs set step_number = step_number + 1
where id = :job_id and stage = 'decision_needed' and completed_at is null and cancel_requested_at is null
    and (lease_until is null or lease_until <= :now)
returning *

-- name: hold_service
-- Let only one decision about the jobs of a service be carried out at a time: two accounts may see the same run.
select id from services where id = :service_id for no key update

-- name: find_holder
-- Another job of ours that a remote job belongs to.
select id from imputation_jobs
where service_id = :service_id and id <> :job_id and (external_job_id = :external_id or remote_name = :remote_name)
limit 1

-- name: list_pushed
-- The result files that were pushed to a job which begins anew, held for deletion.
select f.id, f.storage_key from files f join job_files jf on jf.file_id = f.id
where jf.job_id = :job_id and jf.role in ('result', 'qc', 'log')
order by f.id for update of f

-- name: delete_pushed
-- Forget them.
delete from files where id = any(:ids::bigint[])

-- name: extend_lease
-- Keep a step in hand; tells whether the owner meanwhile wants the job stopped.
update imputation_jobs set lease_until = :lease_until
where id = :job_id and step_number = :step_number and lease_owner = :owner
returning cancel_requested_at is not null as is_unwanted

-- name: release_step
-- Give a step back: what is due stays due.
update imputation_jobs set lease_owner = null, lease_until = null
where id = :job_id and step_number = :step_number and lease_owner = :owner

-- name: postpone_step
-- Give back a step that broke on our own side. What may be at the remote keeps its slot, everything else gives it up.
update imputation_jobs set
    lease_owner = null, lease_until = null, failures = failures + 1, next_action_at = :at,
    has_slot = has_slot and intent_at is not null, hold_reason = coalesce(hold_reason, :reason)
where id = :job_id and step_number = :step_number and lease_owner = :owner

-- name: claim_account
-- Take an account's submissions in hand: one at a time for each account, at most `per_service` accounts of a service.
update service_accounts a set submit_owner = :owner, submit_lease_until = :lease_until, submit_epoch = submit_epoch + 1
where id = :account_id and (submit_lease_until is null or submit_lease_until <= :now)
    and (
        select count(*) from service_accounts o where o.service_id = a.service_id and o.submit_lease_until > :now
    ) < :per_service
returning *

-- name: extend_account
-- Keep an account's submissions in hand.
update service_accounts set submit_lease_until = :lease_until
where id = :account_id and submit_epoch = :epoch and submit_owner = :owner

-- name: release_account
-- Give an account's submissions back.
update service_accounts set submit_owner = null, submit_lease_until = null
where id = :account_id and submit_epoch = :epoch and submit_owner = :owner

-- name: claim_submission
-- Take the account's best due job in hand: doubtful ones first (they already have a slot), then by priority, then fairly among
-- users (who has fewer remote jobs, then who was served longer ago), then by age. Gives nothing when every slot is taken.
with used as (
    select user_id, count(*) as n from imputation_jobs
    where account_id = :account_id and has_slot and completed_at is null group by user_id
), rivals as (
    select distinct user_id from imputation_jobs
    where account_id = :account_id and next_action = 'submit' and next_action_at <= :now
), served as (
    select o.user_id, max(o.started_at) as at from imputation_jobs o join rivals using (user_id)
    where o.account_id = :account_id and (select count(*) from rivals) > 1 group by o.user_id
), best as (
    select j.id from imputation_jobs j
    left join used u on u.user_id = j.user_id
    left join served s on s.user_id = j.user_id
    where j.account_id = :account_id and j.next_action = 'submit' and j.next_action_at <= :now
        and (j.lease_until is null or j.lease_until <= :now)
        and (j.has_slot or :slots::integer is null or (select coalesce(sum(n), 0) from used) < :slots)
    order by j.has_slot desc, j.priority desc, coalesce(u.n, 0), s.at nulls first, j.created_at, j.id
    limit 1
    for update of j skip locked
)
update imputation_jobs j
set lease_owner = :owner, lease_until = :lease_until, step_number = j.step_number + 1, has_slot = true
from best where j.id = best.id
returning j.*

-- name: queue_up
-- Let an account's due submissions that found no slot wait until `at`, each at its place (the order of `claim_submission`, users
-- taking turns); gives those that have not been told yet that they wait, with their place. With `slots`, only while all are taken.
with used as (
    select user_id, count(*) as n from imputation_jobs
    where account_id = :account_id and has_slot and completed_at is null group by user_id
), waiting as (
    select id, user_id, priority, created_at,
        row_number() over (partition by user_id order by priority desc, created_at, id) as turn
    from imputation_jobs
    where account_id = :account_id and next_action = 'submit' and not has_slot
        and (stage = 'waiting_for_slot' or next_action_at <= :now) and (lease_until is null or lease_until <= :now)
), served as (
    select o.user_id, max(o.started_at) as at from imputation_jobs o
    where o.account_id = :account_id and o.user_id in (select user_id from waiting)
        and (select count(distinct user_id) from waiting) > 1
    group by o.user_id
), line as (
    select w.id, (row_number() over (
        order by w.priority desc, coalesce(u.n, 0) + w.turn, w.turn, s.at nulls first, w.created_at, w.id
    ) - 1)::integer as place
    from waiting w left join used u using (user_id) left join served s using (user_id)
), moved as (
    update imputation_jobs j set queue_position = line.place, next_action_at = greatest(j.next_action_at, :at)
    from line
    where j.id = line.id and j.stage = 'waiting_for_slot' and j.next_action = 'submit'
        and (j.queue_position is distinct from line.place or j.next_action_at <= :now)
        and (:slots::integer is null or (select coalesce(sum(n), 0) from used) >= :slots)
)
select line.place, j.* from line join imputation_jobs j using (id)
where j.stage is distinct from 'waiting_for_slot'
    and (:slots::integer is null or (select coalesce(sum(n), 0) from used) >= :slots)
order by line.place limit :max_rows

-- name: list_due_submissions
-- An account's due submissions that have no slot: what keeps one of them from being sent keeps all.
select * from imputation_jobs
where account_id = :account_id and next_action = 'submit' and not has_slot and next_action_at <= :now
    and (lease_until is null or lease_until <= :now)
order by created_at limit :max_rows

-- name: defer_submissions
-- Let an account's due submissions that already wait for the same reason wait on.
update imputation_jobs set next_action_at = :at
where account_id = :account_id and next_action = 'submit' and not has_slot and next_action_at <= :now
    and (lease_until is null or lease_until <= :now) and stage = :stage

-- name: wake_submissions
-- A slot is free: make the submissions of an account that wait for one due now.
update imputation_jobs set next_action_at = :now
where account_id = :account_id and next_action = 'submit' and not has_slot and stage = 'waiting_for_slot'
    and (next_action_at is null or next_action_at > :now)

-- name: wake_held
-- Make the held steps of a service's jobs due now (service back, or credential replaced when `user_id` is given), and the
-- cancellations that could not be carried out.
update imputation_jobs j set next_action_at = now()
from service_accounts a
where a.id = j.account_id and j.service_id = :service_id
    and (j.stage = :stage or (j.next_action = 'cancel' and j.failures > 0))
    and (:user_id::bigint is null or a.user_id = :user_id)
    and j.next_action is not null and (j.next_action_at is null or j.next_action_at > now())

-- name: wake_polls
-- Look at an account's remote jobs again at once. The time is also the mark by which a step sees that it was woken meanwhile.
update service_accounts set next_poll_at = clock_timestamp()
where service_id = :service_id and (:user_id::bigint is null or user_id = :user_id)

-- name: hold_wake_mark
-- When an account was last woken; nobody can wake it until the transaction ends.
select next_poll_at from service_accounts where id = :account_id for share

-- name: wake_deferred
-- A deferred account has a new remote job: look at it in time.
update service_accounts set next_poll_at = clock_timestamp() where id = :account_id and next_poll_at > :now

-- name: request_cancel
-- Note that the owner wants the job stopped; its next step is now to stop it. Asking again changes nothing.
update imputation_jobs set
    cancel_requested_at = coalesce(cancel_requested_at, :now),
    next_action = 'cancel',
    next_action_at = case when cancel_requested_at is null then :now else next_action_at end,
    failures = case when cancel_requested_at is null then 0 else failures end,
    searches = case when cancel_requested_at is null then 0 else searches end
where id = :job_id and completed_at is null
returning *

-- name: claim_polled_accounts
-- Take in hand (or keep) accounts with jobs at the remote that no other living process looks after.
update service_accounts a set poll_owner = :owner, poll_lease_until = :lease_until
from (
    select c.id from service_accounts c
    where (c.poll_lease_until is null or c.poll_lease_until <= :now
            or (c.poll_owner = :owner and c.poll_lease_until < :renew_before))
        and exists (
            select from imputation_jobs j
            where j.account_id = c.id and j.next_action = 'poll' and j.completed_at is null
        )
    order by c.poll_owner = :owner desc nulls last
    limit :max_rows
    for update skip locked
) free
where a.id = free.id
returning a.id, a.service_id, a.next_poll_at

-- name: release_polled_account
-- Nothing is left to look at here.
update service_accounts set poll_owner = null, poll_lease_until = null
where id = :account_id and poll_owner = :owner

-- name: forget_missing
-- Jobs of some accounts that their service did not know when it was last looked at: how long ago that was says nothing.
update imputation_jobs set missing_since = null
where account_id = any(:account_ids::bigint[]) and missing_since is not null and completed_at is null

-- name: list_woken_polls
-- Accounts of ours that somebody lately wants looked at: a credential was replaced, a service is back. The time is the database's
-- alone, and long enough for a transaction that takes its time to commit.
select id, next_poll_at from service_accounts
where poll_owner = :owner
    and next_poll_at between clock_timestamp() - interval '10 minutes' and clock_timestamp()

-- name: defer_polls
-- Do not look at an account's jobs before a time (a rejected credential), unless it was woken since `mark`.
update service_accounts set next_poll_at = :at where id = :account_id and next_poll_at = :mark

-- name: list_polled
-- An account's jobs at the remote, in any order: where a look does not reach all, each has its turn.
select * from imputation_jobs
where account_id = :account_id and next_action = 'poll' and completed_at is null
order by random()

-- name: get_account
-- An account.
select * from service_accounts where id = :account_id

-- name: list_input_files
-- The input files of a job in their order.
select jf.job_id, jf.file_id, jf.role, jf.name, jf.position, f.size_bytes, f.sha256, f.crc32, f.storage_key, f.content_type
from job_files jf join files f on f.id = jf.file_id
where jf.job_id = :job_id and jf.role = 'input' order by jf.position

-- name: note_output
-- Remember something that the remote offers for download. Where its counter went up, an operator reset it: then ours begins anew.
insert into job_outputs (job_id, key, name, role, downloads_left, held_at, size_bytes)
values (:job_id, :key, :name, :role, :downloads_left, :held_at, :size_bytes)
on conflict (job_id, key) do update set
    downloads_left = excluded.downloads_left,
    held_at = excluded.held_at,
    size_bytes = excluded.size_bytes,
    attempts = case when excluded.downloads_left > job_outputs.downloads_left then 0 else job_outputs.attempts end

-- name: list_outputs
-- What the remote offers for download and what became of it.
select * from job_outputs where job_id = :job_id

-- name: count_held
-- How many files of a job lie at its service and could not be fetched.
select count(*)::integer from job_outputs where job_id = :job_id and held_at is not null and fetched_at is null

-- name: has_results
-- Whether a job has a result file already.
select exists (select from job_files where job_id = :job_id and role = 'result')

-- name: note_attempt
-- Count a download before it begins, for the remote counts it too.
update job_outputs set attempts = attempts + 1 where job_id = :job_id and key = :key

-- name: forget_attempt
-- The remote refused to begin a download: it did not count it.
update job_outputs set attempts = attempts - 1 where job_id = :job_id and key = :key and attempts > 0

-- name: note_download_error
-- Remember why a download did not succeed.
update job_outputs set last_error = :error, skipped = :skipped where job_id = :job_id and key = :key

-- name: note_fetched
-- A download is safe with us.
update job_outputs set fetched_at = :now, last_error = null where job_id = :job_id and key = :key

-- name: list_results
-- The result files that a job has already.
select jf.name, f.sha256 from job_files jf join files f on f.id = jf.file_id
where jf.job_id = :job_id and jf.role in ('result', 'qc', 'log')

-- name: insert_file
-- A result file.
insert into files (user_id, kind, name, storage_key, size_bytes, sha256, crc32, content_type, expires_at)
values (:user_id, 'result', :name, :storage_key, :size_bytes, :sha256, :crc32, :content_type, :expires_at)
returning id

-- name: insert_job_file
-- Put a file in its place in a job.
insert into job_files (job_id, file_id, role, name, position)
select :job_id, :file_id, :role, :name, coalesce(max(position) + 1, 0) from job_files where job_id = :job_id

-- name: delete_messages
-- Forget what the remote said about a job.
delete from job_messages where job_id = :job_id

-- name: insert_message
-- Keep what the remote said about a job.
insert into job_messages (job_id, position, step, level, text)
values (:job_id, :position, :step, :level, :text)

-- name: reject_credential
-- Note that the service did not take a user's own credential, unless it was replaced since `mark`.
update user_service_credentials c set rejected_at = :now, is_verified = false
from service_accounts a
where a.id = :account_id and a.next_poll_at = :mark
    and c.service_id = a.service_id and c.user_id = a.user_id and c.rejected_at is null

-- name: list_overdue
-- Open jobs that wait longer than their service's limit and whose owner was not asked yet.
select j.* from imputation_jobs j join services s on s.id = j.service_id
where j.completed_at is null and j.notified_waiting_at is null and j.status = 'queued' and j.cancel_requested_at is null
    and j.created_at + make_interval(secs => s.wait_limit_s) < :now
limit :max_rows

-- name: claim_health_check
-- Take the next service whose health was not looked at for a while.
update services set health_checked_at = :now
where id = (
    select id from services
    where is_active and (health_checked_at is null or health_checked_at <= :before)
    order by health_checked_at nulls first limit 1
    for update skip locked
)
returning *

-- name: write_health
-- Note a service's health; `seen` is what this look alone says.
with noted as (
    insert into service_health (service_id, checked_at, state, latency_ms, message)
    values (:service_id, :now, :seen, :latency_ms, :message)
)
update services
set health = :state, health_message = :message, latency_ms = :latency_ms, health_failures = :failures
where id = :service_id

-- name: purge_health
-- Forget old looks at services.
delete from service_health where checked_at < :before

-- name: purge_idempotency
-- Forget old idempotency keys.
delete from idempotency_keys where created_at < :before

-- name: purge_notifications
-- Forget old notices. Those of open jobs stay: they keep an event from being told twice.
delete from notifications n
where n.created_at < case when n.is_read then :read_before::timestamptz else :before end
    and not exists (select from imputation_jobs j where j.id = n.job_id and j.completed_at is null)

-- name: purge_outbox
-- Forget e-mails that were sent, or given up, long ago; those of open jobs stay likewise.
delete from outbox o
where coalesce(o.delivered_at, o.gave_up_at) < :before
    and not exists (
        select from imputation_jobs j where j.id = (o.data ->> 'job_id')::uuid and j.completed_at is null
    )

-- name: revoke_remote_links
-- A job has ended, or begins anew: its remote no longer reads its input nor pushes results by a link.
update signed_links set revoked_at = :now
where job_id = :job_id and purpose in ('remote_input', 'remote_sheet', 'remote_upload') and revoked_at is null

-- name: was_link_used
-- Whether a job's remote has read, or pushed, anything since a time.
select exists (
    select from signed_links
    where job_id = :job_id and purpose in ('remote_input', 'remote_sheet', 'remote_upload') and last_used_at >= :since
)

-- name: ensure_remote_link
-- The link of a job's remote to one of its files (or, without file, to the job); asked for again, it is the same and lasts longer.
insert into signed_links (file_id, job_id, purpose, created_at, expires_at)
values (:file_id, :job_id, :purpose, :now, :expires_at)
on conflict (job_id, purpose, file_id) where purpose in ('remote_input', 'remote_sheet', 'remote_upload') and revoked_at is null
do update set expires_at = greatest(signed_links.expires_at, excluded.expires_at)
returning id

-- name: free_leases
-- At the start of the only process of this database: nobody else can have anything in hand.
with steps as (
    update imputation_jobs set lease_owner = null, lease_until = null
    where next_action is not null and lease_until is not null
), mails as (
    update outbox set lease_until = null where lease_until is not null
)
update service_accounts
set poll_owner = null, poll_lease_until = null, submit_owner = null, submit_lease_until = null
where poll_lease_until is not null or submit_lease_until is not null

-- name: give_leases_back
-- At the orderly end of a process: whoever comes next need not wait for its leases to run out.
with steps as (
    update imputation_jobs set lease_owner = null, lease_until = null
    where next_action is not null and lease_owner = :owner
), polls as (
    update service_accounts set poll_owner = null, poll_lease_until = null
    where poll_owner = :owner and submit_owner is distinct from :owner
)
update service_accounts set
    submit_owner = null, submit_lease_until = null,
    poll_owner = nullif(poll_owner, :owner),
    poll_lease_until = case when poll_owner = :owner then null else poll_lease_until end
where submit_owner = :owner

-- name: count_jobs
-- How many jobs stand in each status and stage, for the metrics.
select status, coalesce(stage, '') as stage, count(*) as n from imputation_jobs
where completed_at is null group by status, stage
