-- name: find_user
-- One user.
select id, username, email, pending_email, full_name, institution, country, role, password_hash, token_version, is_active,
       notification_preferences, created_at, last_login_at
from users where id = :user_id

-- name: lock_user
-- One user, whom no other transaction changes meanwhile.
select id, username, email, pending_email, full_name, institution, country, role, password_hash, token_version, is_active,
       notification_preferences, created_at, last_login_at
from users where id = :user_id for update

-- name: find_user_by_username
-- The user of a name, whatever its case.
select id, username, email, pending_email, full_name, institution, country, role, password_hash, token_version, is_active,
       notification_preferences, created_at, last_login_at
from users where lower(username) = lower(:username)

-- name: find_user_by_email
-- The user of a confirmed address, whatever its case.
select id, username, email, pending_email, full_name, institution, country, role, password_hash, token_version, is_active,
       notification_preferences, created_at, last_login_at
from users where lower(email) = lower(:email)

-- name: insert_user
-- Make an account; nothing when the name is taken.
insert into users
    (username, email, email_verified_at, pending_email, full_name, institution, country, role, password_hash)
values (:username, :email, case when :email::text is not null then now() end, :pending_email, :full_name, :institution,
        :country, :role, :password_hash)
on conflict (lower(username)) do nothing
returning id, username, email, pending_email, full_name, institution, country, role, password_hash, token_version, is_active,
          notification_preferences, created_at, last_login_at

-- name: update_profile
-- Write what users may change about themselves.
update users
set full_name = :full_name, institution = :institution, country = :country, pending_email = :pending_email,
    notification_preferences = :notification_preferences
where id = :user_id
returning id, username, email, pending_email, full_name, institution, country, role, password_hash, token_version, is_active,
          notification_preferences, created_at, last_login_at

-- name: note_login
-- Remember when somebody signed in last.
update users set last_login_at = :now where id = :user_id

-- name: set_password
-- Write a new password; every older token ends with it.
update users set password_hash = :password_hash, token_version = token_version + 1
where id = :user_id
returning id, username, email, pending_email, full_name, institution, country, role, password_hash, token_version, is_active,
          notification_preferences, created_at, last_login_at

-- name: end_tokens
-- End every token that a user has.
update users set token_version = token_version + 1 where id = :user_id

-- name: confirm_email
-- Make the address that waits for confirmation the user's own; nothing when it is another one by now.
update users set email = pending_email, pending_email = null, email_verified_at = :now
where id = :user_id and lower(pending_email) = lower(:email)
returning id

-- name: has_admin
-- Whether anybody can administer the platform.
select exists (select 1 from users where role = 'admin' and is_active)

-- name: insert_token
-- Keep the hash of a one-time token.
insert into one_time_tokens (user_id, purpose, token_hash, data, expires_at)
values (:user_id, :purpose, :token_hash, :data, :expires_at)
returning id

-- name: find_token
-- A one-time token that can still be used.
select id, user_id, data from one_time_tokens
where token_hash = :token_hash and purpose = :purpose and used_at is null and expires_at > :now

-- name: use_token
-- Use a one-time token up; nothing when it was used, has expired, or never was.
update one_time_tokens set used_at = :now
where token_hash = :token_hash and purpose = :purpose and used_at is null and expires_at > :now
returning id, user_id, data

-- name: drop_tokens
-- Make a user's (or, for null, nobody's) other tokens of a purpose useless.
delete from one_time_tokens where user_id is not distinct from :user_id::bigint and purpose = :purpose

-- name: lock_setup
-- Let one transaction at a time make the first administrator.
select pg_advisory_xact_lock(7223046202)

-- name: list_users
-- Accounts with how many jobs each has, by name; those whose name, address, institution hold a text, of a role, that may sign in or not.
select u.id, u.username, u.email, u.pending_email, u.full_name, u.institution, u.country, u.role, u.password_hash, u.token_version,
       u.is_active, u.notification_preferences, u.created_at, u.last_login_at,
       (select count(*) from imputation_jobs j where j.user_id = u.id) as jobs
from users u
where (:pattern::text is null or u.username ilike :pattern or u.email ilike :pattern or u.full_name ilike :pattern
       or u.institution ilike :pattern)
    and (:role::text is null or u.role = :role)
    and (:is_active::boolean is null or u.is_active = :is_active)
order by lower(u.username), u.id limit :limit offset :offset

-- name: count_users
-- How many accounts `list_users` would list.
select count(*) from users u
where (:pattern::text is null or u.username ilike :pattern or u.email ilike :pattern or u.full_name ilike :pattern
       or u.institution ilike :pattern)
    and (:role::text is null or u.role = :role)
    and (:is_active::boolean is null or u.is_active = :is_active)

-- name: count_user_jobs
-- How many jobs a user has.
select count(*) from imputation_jobs where user_id = :user_id

-- name: count_other_admins
-- How many others can administer the platform.
select count(*) from users where role = 'admin' and is_active and id <> :user_id

-- name: set_standing
-- Write what administrators decide about an account; where it may no longer sign in, or loses a role, every token ends.
update users
set role = :role, is_active = :is_active,
    token_version = token_version + case when role <> :role or is_active <> :is_active then 1 else 0 end
where id = :user_id
returning id, username, email, pending_email, full_name, institution, country, role, password_hash, token_version, is_active,
          notification_preferences, created_at, last_login_at
