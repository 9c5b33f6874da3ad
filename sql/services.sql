-- name: get_service
-- One service.
select id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at, institution, city,
       latitude, longitude, maintenance, maintenance_message, health_failures, description_read_at
from services where id = :service_id

-- name: lock_service
-- One service, which no other transaction changes meanwhile.
select id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at, institution, city,
       latitude, longitude, maintenance, maintenance_message, health_failures, description_read_at
from services where id = :service_id for update

-- name: find_service_by_slug
-- One service by its short name.
select id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at, institution, city,
       latitude, longitude, maintenance, maintenance_message, health_failures, description_read_at
from services where slug = :slug

-- name: list_services
-- Services by age, or those first that can be used least, with those that are switched off last.
select id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at, institution, city,
       latitude, longitude, maintenance, maintenance_message, health_failures, description_read_at
from services
where (:is_active::boolean is null or is_active = :is_active) and (:api_type::text is null or api_type = :api_type)
order by case when :worst_first::boolean then not is_active end,
    case when :worst_first then
        array_position('{down,maintenance,unknown,up}'::text[], case when maintenance then 'maintenance' else health end) end,
    case when :worst_first then lower(name) end,
    id
limit :limit offset :offset

-- name: list_services_by_id
-- Some services.
select id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at, institution, city,
       latitude, longitude, maintenance, maintenance_message, health_failures, description_read_at
from services where id = any(:service_ids)

-- name: count_services
-- How many services `list_services` would list.
select count(*) from services
where (:is_active::boolean is null or is_active = :is_active) and (:api_type::text is null or api_type = :api_type)

-- name: count_services_by_state
-- How many services are up, down, in maintenance, not checked yet (unknown), or switched off (off).
select case when not is_active then 'off' when maintenance then 'maintenance' else health end as state, count(*) as services
from services group by 1

-- name: list_services_with_jobs
-- The services that a user has jobs at, and one more (jobs_of_user).
select id, name from services
where id in (select service_id from imputation_jobs where user_id = :user_id) or id = :service_id
order by lower(name), id

-- name: insert_service
-- Add a service; nothing when the short name is taken.
insert into services
    (slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
     shared_with, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s, max_remote_jobs, institution, city,
     latitude, longitude, maintenance, maintenance_message)
values
    (:slug, :name, :description, :api_type, :base_url, :location, :country, :supported_builds, :credential_kind,
     :credential_policy, :shared_with, :allow_insecure, :api_config, :is_active, :poll_interval_s, :wait_limit_s,
     :max_remote_jobs, :institution, :city, :latitude, :longitude, :maintenance, :maintenance_message)
on conflict (slug) do nothing
returning id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at, institution, city,
       latitude, longitude, maintenance, maintenance_message, health_failures, description_read_at

-- name: update_service
-- Write everything that administrators set about a service.
update services
set name = :name, description = :description, base_url = :base_url, location = :location, country = :country,
    supported_builds = :supported_builds, credential_kind = :credential_kind, credential_policy = :credential_policy,
    shared_with = :shared_with, allow_insecure = :allow_insecure, api_config = :api_config, is_active = :is_active,
    poll_interval_s = :poll_interval_s, wait_limit_s = :wait_limit_s, max_remote_jobs = :max_remote_jobs,
    institution = :institution, city = :city, latitude = :latitude, longitude = :longitude, maintenance = :maintenance,
    maintenance_message = :maintenance_message
where id = :service_id
returning id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at, institution, city,
       latitude, longitude, maintenance, maintenance_message, health_failures, description_read_at

-- name: set_shared_secret
-- Write (or, with nulls, remove) the sealed secret that is shared.
update services set shared_secret = :secret, shared_secret_key_id = :key_id where id = :service_id
returning id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at, institution, city,
       latitude, longitude, maintenance, maintenance_message, health_failures, description_read_at

-- name: set_live_form
-- Keep what the service said of itself.
update services set live_form = :live_form, description_read_at = :now, next_read_at = :next_read_at where id = :service_id

-- name: read_again
-- A service was set up anew: its description is due, and what was said of a former dialect is seen to.
update services set next_read_at = null, live_form = live_form - 'former_dialect' - 'dialect_changed_at'
where id = :service_id

-- name: delete_service
-- Remove a service that no job refers to; nothing when one does.
delete from services s
where id = :service_id and not exists (select 1 from imputation_jobs j where j.service_id = s.id)
returning id

-- name: claim_description
-- Take the next service whose description is due and may be read without anybody's own credential.
update services set next_read_at = :next_read_at
where id = (
    select id from services
    where is_active and not maintenance and (next_read_at is null or next_read_at <= :now)
        and (credential_kind = 'none' or (credential_policy = 'shared' and shared_secret is not null))
    order by next_read_at nulls first limit 1
    for update skip locked
)
returning *

-- name: claim_own_description
-- Take a service whose description is due and that nobody reads by itself, for it needs a credential of somebody's own.
update services set next_read_at = :next_read_at
where id = :service_id and is_active and not maintenance and (next_read_at is null or next_read_at <= :now)
    and credential_kind <> 'none' and not (credential_policy = 'shared' and shared_secret is not null)
returning *

-- name: note_health_check
-- A look at the service begins.
update services set health_checked_at = :now where id = :service_id

-- name: list_health
-- What was seen of a service, newest first.
select checked_at, state, latency_ms, message
from service_health where service_id = :service_id
order by checked_at desc, id desc
limit :limit offset :offset

-- name: count_health
-- How many looks at a service are kept.
select count(*) from service_health where service_id = :service_id

-- name: forget_health
-- Nothing is known of a service, and the next look is due.
update services
set health = 'unknown', health_message = null, latency_ms = null, health_failures = 0, health_checked_at = null
where id = :service_id

-- name: list_spans
-- The looks at a service since a time at which a state began or ended, those of one state in a row being one span: when it began,
-- until when it is known, its message. A look is good until the next one, but for `gap_s` seconds at most: what nobody saw is not
-- known. Rows with `began_at` and rows with `ended_at` alternate; a single look is both.
with looks as (
    select id, checked_at, state, message,
        lag(state) over w as former, lag(checked_at) over w as former_at,
        lead(state) over w as latter, lead(checked_at) over w as latter_at,
        make_interval(secs => :gap_s::double precision) as gap
    from service_health
    where service_id = :service_id and checked_at > :since and checked_at <= :now
    window w as (order by checked_at, id)
), edges as (
    select id, checked_at, state, message,
        former is distinct from state or former_at + gap < checked_at as begins,
        latter is distinct from state or checked_at + gap < latter_at as ends,
        least(coalesce(latter_at, :now), checked_at + gap) as known_until
    from looks
)
select state, message, case when begins then checked_at end as began_at, case when ends then known_until end as ended_at
from edges
where begins or ends
order by checked_at, id

-- name: measure_latency
-- Median and 95th percentile of how long a service took to answer since a time, and of how many looks.
select count(*) as looks,
    percentile_cont(0.5) within group (order by latency_ms) as median_ms,
    percentile_cont(0.95) within group (order by latency_ms) as p95_ms
from service_health
where service_id = :service_id and checked_at > :since and latency_ms is not null

-- name: list_latencies
-- The median time to answer in each part of `slot_s` seconds since a time; parts without an answer are left out.
select floor(extract(epoch from checked_at - :since::timestamptz) / :slot_s::double precision)::int as slot,
    percentile_cont(0.5) within group (order by latency_ms) as median_ms
from service_health
where service_id = :service_id and checked_at > :since and checked_at < :now and latency_ms is not null
group by 1

-- name: list_active_panels
-- The active panels of some services.
select id, service_id, key, name, populations, builds, version, is_active, source, retired_at, created_at, updated_at
from reference_panels
where service_id = any(:service_ids::bigint[]) and is_active
order by service_id, id

-- name: list_panels
-- Panels of a service by age, those that are switched off or vanished only on demand.
select id, service_id, key, name, populations, builds, version, is_active, source, retired_at, created_at, updated_at
from reference_panels
where service_id = :service_id and (is_active or :inactive_too)
order by id
limit :limit offset :offset

-- name: count_panels
-- How many panels `list_panels` would list.
select count(*) from reference_panels where service_id = :service_id and (is_active or :inactive_too)

-- name: get_panel
-- One panel of a service.
select id, service_id, key, name, populations, builds, version, is_active, source, retired_at, created_at, updated_at
from reference_panels where id = :panel_id and service_id = :service_id

-- name: insert_panel
-- Add a panel; nothing when the service has one with this key.
insert into reference_panels (service_id, key, name, populations, builds, version, is_active, source)
values (:service_id, :key, :name, :populations, :builds, :version, :is_active, 'manual')
on conflict (service_id, key) where retired_at is null do nothing
returning id, service_id, key, name, populations, builds, version, is_active, source, retired_at, created_at, updated_at

-- name: update_panel
-- Write what administrators set about a panel.
update reference_panels
set name = :name, populations = :populations, builds = :builds, version = :version, is_active = :is_active, source = :source,
    retired_at = case when :is_active then null else retired_at end
where id = :panel_id and service_id = :service_id
returning id, service_id, key, name, populations, builds, version, is_active, source, retired_at, created_at, updated_at

-- name: delete_panel
-- Remove a panel; jobs that used it keep its key and name.
delete from reference_panels where id = :panel_id and service_id = :service_id
returning id

-- name: release_panels
-- Let the service's own list replace panels that were entered by hand.
update reference_panels set source = 'live' where service_id = :service_id and key = any (:keys::text[])

-- name: supersede_panel
-- Retire the current panel of a key whose version is another one now; it stays for the jobs that used it.
update reference_panels set is_active = false, retired_at = clock_timestamp()
where service_id = :service_id and key = :key and source = 'live' and retired_at is null
    and version is not null and version <> :version::text

-- name: restore_panel
-- Bring back the panel of a key and version that a sync had retired, unless the key has a current panel.
update reference_panels set is_active = true, retired_at = null
where id = (
    select id from reference_panels
    where service_id = :service_id and key = :key and source = 'live' and retired_at is not null
        and (version is not distinct from :version::text or version is null or :version is null)
    order by (version is not distinct from :version::text) desc, retired_at desc limit 1
) and not exists (
    select 1 from reference_panels where service_id = :service_id and key = :key and retired_at is null
)

-- name: upsert_live_panel
-- Write a panel as the service lists it. One that was entered by hand keeps what was entered.
insert into reference_panels (service_id, key, name, populations, builds, version, source)
values (:service_id, :key, :name, :populations, :builds, :version, 'live')
on conflict (service_id, key) where retired_at is null do update
set name = excluded.name, populations = excluded.populations, is_active = true,
    -- a service that does not tell a version or builds does not take back what is known of them
    version = coalesce(excluded.version, reference_panels.version),
    builds = case when cardinality(excluded.builds) > 0 then excluded.builds else reference_panels.builds end
where reference_panels.source = 'live'

-- name: retire_live_panels
-- Retire the panels that the service no longer lists; gives their keys.
update reference_panels set is_active = false, retired_at = clock_timestamp()
where service_id = :service_id and source = 'live' and retired_at is null and key <> all (:keys::text[])
returning key
