-- The state of the platform at a glance, for administrators. All of it is asked for at once, so each query is a cheap one.

-- name: count_open_jobs
-- Open jobs by status and stage, and since when the one that has waited longest stands there (jobs_of_account).
select status, stage, count(*) as jobs, min(created_at) as oldest_at
from imputation_jobs
where completed_at is null
group by status, stage
order by status, stage nulls first

-- name: list_stuck_jobs
-- Open jobs that are held, or that nobody has heard of for long, longest first (jobs_of_account).
select j.id, j.name, j.status, j.stage, j.hold_reason, j.created_at, j.updated_at, j.user_id, u.username, j.service_id,
    s.name as service_name
from imputation_jobs j join services s on s.id = j.service_id join users u on u.id = j.user_id
where j.completed_at is null
    and (j.stage = any(:held) or j.created_at < :before)
order by j.created_at
limit :limit

-- name: count_jobs_of_services
-- How many jobs are open and how many there are at each service (jobs_of_service), how many panels can be chosen, and how many
-- users have a credential.
select s.id as service_id,
    (select count(*) from imputation_jobs j where j.service_id = s.id and j.completed_at is null) as open_jobs,
    (select count(*) from imputation_jobs j where j.service_id = s.id) as jobs,
    (select count(*) from reference_panels p where p.service_id = s.id and p.is_active and p.retired_at is null) as panels,
    (select count(*) from user_service_credentials c where c.service_id = s.id) as credentials
from services s

-- name: measure_outbox
-- E-mails that wait (outbox_undelivered), since when, and those that were given up since a time.
select count(*) filter (where gave_up_at is null) as waiting,
    min(created_at) filter (where gave_up_at is null) as oldest_at,
    count(*) filter (where gave_up_at is null and attempts > 0) as retried,
    count(*) filter (where gave_up_at > :since) as given_up
from outbox
where delivered_at is null

-- name: list_troubled_mail
-- E-mails that could not be delivered yet or were given up, newest first.
select id, template, attempts, created_at, due_at, gave_up_at, last_error
from outbox
where delivered_at is null and (attempts > 0 or gave_up_at is not null)
order by id desc
limit :limit

-- name: measure_people
-- Accounts: all, those that can sign in, administrators among these, those that signed in since a time.
select count(*) as all_users, count(*) filter (where is_active) as active,
    count(*) filter (where is_active and role = 'admin') as admins,
    count(*) filter (where last_login_at > :since) as recent
from users

-- name: measure_files
-- Stored files, and the bytes that they hold.
select count(*) as files, coalesce(sum(size_bytes), 0)::bigint as size_bytes from files
where storage_key is not null

-- name: list_admin_acts
-- What administrators did to services, panels and accounts, newest first (audit_of_administration).
select id, user_id, action, resource_type, resource_id, details, address, timestamp
from audit_logs
where split_part(action, '.', 1) in ('service', 'services', 'panel', 'panels')
    or action in ('user.created', 'user.standing_changed', 'user.reset_link_sent')
order by id desc
limit :limit

-- name: list_usernames
-- The names of some users.
select id, username from users where id = any(:ids)
