-- name: list_credentials
-- A user's credentials, oldest first.
select id, user_id, service_id, label, credential_type, secret, secret_key_id, origin, is_active, is_verified, verified_at,
       account_name, expires_at, rejected_at, created_at, updated_at
from user_service_credentials where user_id = :user_id
order by id
limit :limit offset :offset

-- name: list_credentials_for
-- A user's credentials for some services.
select id, user_id, service_id, label, credential_type, secret, secret_key_id, origin, is_active, is_verified, verified_at,
       account_name, expires_at, rejected_at, created_at, updated_at
from user_service_credentials where user_id = :user_id and service_id = any(:service_ids)

-- name: count_credentials
-- How many credentials a user has.
select count(*) from user_service_credentials where user_id = :user_id

-- name: get_credential
-- One credential of a user's.
select id, user_id, service_id, label, credential_type, secret, secret_key_id, origin, is_active, is_verified, verified_at,
       account_name, expires_at, rejected_at, created_at, updated_at
from user_service_credentials where id = :credential_id and user_id = :user_id

-- name: find_credential
-- A user's credential for a service.
select id, user_id, service_id, label, credential_type, secret, secret_key_id, origin, is_active, is_verified, verified_at,
       account_name, expires_at, rejected_at, created_at, updated_at
from user_service_credentials where user_id = :user_id and service_id = :service_id

-- name: upsert_credential
-- Store a user's credential for a service in the place of any former one; it counts as new and not yet verified.
insert into user_service_credentials
    (user_id, service_id, label, credential_type, secret, secret_key_id, origin, expires_at)
values (:user_id, :service_id, :label, :credential_type, :secret, :secret_key_id, :origin, :expires_at)
on conflict (user_id, service_id) do update
set label = excluded.label, credential_type = excluded.credential_type, secret = excluded.secret,
    secret_key_id = excluded.secret_key_id, origin = excluded.origin, expires_at = excluded.expires_at, is_active = true,
    is_verified = false, verified_at = null, account_name = null, rejected_at = null
returning id, user_id, service_id, label, credential_type, secret, secret_key_id, origin, is_active, is_verified, verified_at,
       account_name, expires_at, rejected_at, created_at, updated_at, (xmax = 0) as is_new

-- name: update_credential
-- Change a credential's label, whether it is used, and (by the user's word) the origin it is for, sealed anew.
update user_service_credentials
set label = :label, is_active = :is_active, secret = :secret, secret_key_id = :secret_key_id, origin = :origin
where id = :credential_id and user_id = :user_id
returning id, user_id, service_id, label, credential_type, secret, secret_key_id, origin, is_active, is_verified, verified_at,
       account_name, expires_at, rejected_at, created_at, updated_at

-- name: note_report
-- Write down what the service said of a credential, unless it was replaced meanwhile.
update user_service_credentials
set is_verified = :is_valid, verified_at = case when :is_valid then :now::timestamptz end,
    account_name = coalesce(:account_name, account_name), expires_at = coalesce(:expires_at, expires_at),
    rejected_at = case when :is_valid then null else coalesce(rejected_at, :now::timestamptz) end
where id = :credential_id and secret = :secret
returning id, user_id, service_id, label, credential_type, secret, secret_key_id, origin, is_active, is_verified, verified_at,
       account_name, expires_at, rejected_at, created_at, updated_at

-- name: delete_credential
-- Forget a credential of a user's.
delete from user_service_credentials where id = :credential_id and user_id = :user_id
returning service_id
