-- Sealed secrets, for the rotation of keys: what is not under the newest key, a batch at a time.

-- name: list_credentials
-- Users' credentials under older keys.
select id, user_id, service_id, origin, secret as sealed, secret_key_id as key_id
from user_service_credentials where secret_key_id <> :key_id and id > :after order by id limit :max_rows

-- name: write_credential
-- Put a newly sealed credential in the place of the one that was read.
update user_service_credentials set secret = :sealed, secret_key_id = :key_id where id = :id and secret = :old

-- name: list_shared
-- Services' shared secrets under older keys.
select id, base_url, shared_secret as sealed, shared_secret_key_id as key_id
from services where shared_secret is not null and shared_secret_key_id <> :key_id and id > :after
order by id limit :max_rows

-- name: write_shared
-- Put a newly sealed shared secret in the place of the one that was read.
update services set shared_secret = :sealed, shared_secret_key_id = :key_id where id = :id and shared_secret = :old

-- name: list_archives
-- Passwords of jobs' result archives under older keys.
select id, archive_secret as sealed, archive_secret_key_id as key_id
from imputation_jobs where archive_secret_key_id <> :key_id and id > :after order by id limit :max_rows

-- name: write_archive
-- Put a newly sealed password in the place of the one that was read.
update imputation_jobs set archive_secret = :sealed, archive_secret_key_id = :key_id
where id = :id and archive_secret = :old

-- name: list_mails
-- Secret parts of e-mails under older keys.
select id, dedup_key, secret_data as sealed, secret_data_key_id as key_id
from outbox where secret_data is not null and secret_data_key_id <> :key_id and id > :after
order by id limit :max_rows

-- name: write_mail
-- Put a newly sealed part in the place of the one that was read.
update outbox set secret_data = :sealed, secret_data_key_id = :key_id where id = :id and secret_data = :old
