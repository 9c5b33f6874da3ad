-- Notices: notifications on the web page, and the outbox of e-mails, which is written in the transaction of the change it tells of.

-- name: find_audience
-- Whom a notice of a job is for, and the name of the job's service.
select u.id, u.username, u.full_name, u.email, u.is_active, u.notification_preferences,
    s.name as service_name
from users u cross join services s
where u.id = :user_id and s.id = :service_id

-- name: insert_notification
-- A notice for the web page, unless it stands there already.
insert into notifications (user_id, job_id, dedup_key, type, title, message, data, channels, created_at)
values (:user_id, :job_id, :dedup_key, :type, :title, :message, :data, :channels, :now)
on conflict (dedup_key) do nothing

-- name: list_notifications
-- A page of a user's notices, newest first; `unread` true keeps those not read, false those read, null all; of some `types`.
select id, user_id, job_id, type, title, message, data, channels, is_read, created_at
from notifications
where user_id = :user_id
    and (:unread::boolean is null or is_read <> :unread)
    and (:types::text[] is null or type = any(:types))
order by id desc
limit :limit offset :offset

-- name: count_unread
-- How many of a user's notices were not read.
select count(*) from notifications where user_id = :user_id and not is_read

-- name: count_notifications
-- How many a user has, with the same filter.
select count(*) from notifications
where user_id = :user_id
    and (:unread::boolean is null or is_read <> :unread)
    and (:types::text[] is null or type = any(:types))

-- name: mark_read
-- One notice of this user's was read; no row when it is not theirs.
update notifications set is_read = true where id = :id and user_id = :user_id
returning id, user_id, job_id, type, title, message, data, channels, is_read, created_at

-- name: mark_job_read
-- What this user was told of one of their jobs was read.
update notifications set is_read = true where job_id = :job_id and user_id = :user_id and not is_read

-- name: mark_all_read
-- All that this user has were read.
update notifications set is_read = true where user_id = :user_id and not is_read

-- name: insert_mail
-- An e-mail to deliver, unless it stands there already.
insert into outbox (user_id, dedup_key, template, recipient, data, secret_data, secret_data_key_id, created_at, due_at)
values (:user_id, :dedup_key, :template, :recipient, :data, :secret_data, :secret_data_key_id, :now, :now)
on conflict (dedup_key) do nothing

-- name: is_mail_due
-- Whether there is an e-mail to deliver now.
select exists (
    select from outbox
    where delivered_at is null and gave_up_at is null and due_at <= :now
        and (lease_until is null or lease_until <= :now)
)

-- name: claim_mail
-- Take the e-mail that has been due longest in hand; the attempt counts at once, so that one which kills the process ends.
update outbox set lease_until = :lease_until, attempts = attempts + 1
where id = (
    select id from outbox
    where delivered_at is null and gave_up_at is null and due_at <= :now
        and (lease_until is null or lease_until <= :now)
    order by due_at, id
    limit 1
    for update skip locked
)
returning id, user_id, dedup_key, template, recipient, data, secret_data, secret_data_key_id, created_at, attempts

-- name: mark_mail_delivered
-- It was sent, whoever has it in hand by now; its secret is no longer needed.
update outbox
set delivered_at = :now, lease_until = null, last_error = null, secret_data = null, secret_data_key_id = null
where id = :id and delivered_at is null

-- name: retry_mail
-- It was not sent; try again at `due_at`, unless somebody else has it in hand by now.
update outbox set due_at = :due_at, lease_until = null, last_error = :error
where id = :id and attempts = :attempts and delivered_at is null

-- name: give_up_mail
-- It cannot be sent, ever or after this many attempts.
update outbox
set gave_up_at = :now, lease_until = null, last_error = :error, secret_data = null, secret_data_key_id = null
where id = :id and attempts = :attempts and delivered_at is null

-- name: find_results_file
-- The archive of a job's results, for the link in an e-mail.
select f.id as file_id, f.name, f.size_bytes, j.user_id
from imputation_jobs j join files f on f.id = j.results_file_id
where j.id = :job_id

-- name: ensure_mail_link
-- The signed link of one e-mail: the same row however often the e-mail is tried.
insert into signed_links (id, file_id, user_id, job_id, purpose, created_at, expires_at)
values (:id, :file_id, :user_id, :job_id, 'results_mail', :now, :expires_at)
on conflict (id) do update set expires_at = excluded.expires_at

-- name: revoke_mail_link
-- The e-mail with this link will not be sent.
update signed_links set revoked_at = :now where id = :id and revoked_at is null
