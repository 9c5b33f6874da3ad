-- The watch over stored credentials: users' own, and the shared ones of services (credential_id null).

-- name: follow_stored
-- Watch every stored credential; one that is new, or was replaced, begins anew.
insert into credential_watch as w (service_id, credential_id, secret_md5, check_at)
select stored.service_id, stored.credential_id, stored.secret_md5, :check_at
from (
    select service_id, id as credential_id, md5(secret) as secret_md5 from user_service_credentials
    union all
    select id, null, md5(shared_secret) from services where shared_secret is not null and credential_policy = 'shared'
) stored
left join credential_watch k
    on k.service_id = stored.service_id and k.credential_id is not distinct from stored.credential_id
where k.secret_md5 is distinct from stored.secret_md5
on conflict (service_id, credential_id) do update
set secret_md5 = excluded.secret_md5, check_at = excluded.check_at, check_until = null, expires_at = null, rejected_at = null,
    told = 0, told_for = null
where w.secret_md5 <> excluded.secret_md5

-- name: list_ending
-- Credentials in use that end before `horizon` and whose end was not told to the last; refused ones were told of otherwise.
select w.id, w.service_id, w.credential_id, c.user_id, coalesce(c.expires_at, w.expires_at) as expires_at, w.told, w.told_for
from credential_watch w join services s on s.id = w.service_id
left join user_service_credentials c on c.id = w.credential_id
left join users u on u.id = c.user_id
where coalesce(c.expires_at, w.expires_at) <= :horizon and coalesce(c.rejected_at, w.rejected_at) is null
    and s.is_active and s.credential_kind <> 'none'
    and case when w.credential_id is null then s.shared_secret is not null and s.credential_policy = 'shared'
        else c.is_active and u.is_active end
    and (w.told < :last or w.told_for is distinct from coalesce(c.expires_at, w.expires_at)) and w.id > :after
order by w.id
limit :max_rows

-- name: mark_told
-- How near a credential's end is told now: by one process, and not of one that was replaced meanwhile.
update credential_watch w set told = :told, told_for = :expires_at
where w.id = :id and w.told = :was and w.told_for is not distinct from :was_for
    and not exists (
        select from user_service_credentials c where c.id = w.credential_id and c.expires_at is distinct from :expires_at
    )
returning w.id

-- name: claim_check
-- Take the credential that has been due longest in hand: in use, at a service that is not known to be away, of each service at most
-- `per_service` at a time. One that was refused is looked at until `refused_before`.
with busy as (
    select service_id, count(*) as n from credential_watch where check_until > :now group by service_id
)
update credential_watch set check_until = :until
where id = (
    select w.id from credential_watch w join services s on s.id = w.service_id
    left join user_service_credentials c on c.id = w.credential_id
    left join users u on u.id = c.user_id
    left join busy on busy.service_id = w.service_id
    where w.check_at <= :now and (w.check_until is null or w.check_until <= :now)
        and s.is_active and s.credential_kind <> 'none' and s.health not in ('down', 'maintenance')
        and case when w.credential_id is null then s.shared_secret is not null and s.credential_policy = 'shared'
            else c.is_active and u.is_active end
        and coalesce(c.rejected_at, w.rejected_at, :now) > :refused_before
        and coalesce(busy.n, 0) < :per_service
    order by w.check_at, w.id
    limit 1
    for update of w skip locked
)
returning id, service_id, credential_id, secret_md5, check_until, rejected_at

-- name: end_check
-- Give a credential back, to be looked at again at `at`.
update credential_watch set check_at = :at, check_until = null where id = :id and check_until = :until

-- name: get_checked_credential
-- The user's credential that a look is for.
select id, user_id, service_id, label, credential_type, secret, secret_key_id, origin, is_active, is_verified, verified_at,
       account_name, expires_at, rejected_at, created_at, updated_at
from user_service_credentials where id = :credential_id

-- name: note_shared
-- Write down what the service said of its shared credential, unless that was replaced meanwhile.
update credential_watch w set expires_at = coalesce(:expires_at, w.expires_at),
    rejected_at = case when :is_valid then null else coalesce(w.rejected_at, :now::timestamptz) end
where w.id = :id and w.secret_md5 = :secret_md5
    and exists (select from services s where s.id = w.service_id and md5(s.shared_secret) = w.secret_md5)
returning w.id, w.expires_at

-- name: list_admins
-- Who looks after services.
select id from users where role = 'admin' and is_active order by id

-- name: get_typical_duration
-- In how many seconds nine of ten jobs of a service were done, from the remote's yes to the results here, among those that ended
-- since a time; null when there are none.
select percentile_cont(0.9) within group (order by extract(epoch from completed_at - submitted_at)::double precision)
from imputation_jobs
where service_id = :service_id and status = 'completed' and completed_at > :since and submitted_at is not null
