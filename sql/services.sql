-- name: get_service
-- One service.
select id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at
from services where id = :service_id

-- name: lock_service
-- One service, which no other transaction changes meanwhile.
select id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at
from services where id = :service_id for update

-- name: find_service_by_slug
-- One service by its short name.
select id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at
from services where slug = :slug

-- name: list_services
-- Services by age.
select id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at
from services
where (:is_active::boolean is null or is_active = :is_active) and (:api_type::text is null or api_type = :api_type)
order by id
limit :limit offset :offset

-- name: count_services
-- How many services `list_services` would list.
select count(*) from services
where (:is_active::boolean is null or is_active = :is_active) and (:api_type::text is null or api_type = :api_type)

-- name: insert_service
-- Add a service; nothing when the short name is taken.
insert into services
    (slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
     shared_with, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s, max_remote_jobs)
values
    (:slug, :name, :description, :api_type, :base_url, :location, :country, :supported_builds, :credential_kind,
     :credential_policy, :shared_with, :allow_insecure, :api_config, :is_active, :poll_interval_s, :wait_limit_s,
     :max_remote_jobs)
on conflict (slug) do nothing
returning id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at

-- name: update_service
-- Write everything that administrators set about a service.
update services
set name = :name, description = :description, base_url = :base_url, location = :location, country = :country,
    supported_builds = :supported_builds, credential_kind = :credential_kind, credential_policy = :credential_policy,
    shared_with = :shared_with, allow_insecure = :allow_insecure, api_config = :api_config, is_active = :is_active,
    poll_interval_s = :poll_interval_s, wait_limit_s = :wait_limit_s, max_remote_jobs = :max_remote_jobs
where id = :service_id
returning id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at

-- name: set_shared_secret
-- Write (or, with nulls, remove) the sealed secret that is shared.
update services set shared_secret = :secret, shared_secret_key_id = :key_id where id = :service_id
returning id, slug, name, description, api_type, base_url, location, country, supported_builds, credential_kind, credential_policy,
       shared_with, shared_secret, shared_secret_key_id, allow_insecure, api_config, is_active, poll_interval_s, wait_limit_s,
       max_remote_jobs, health, health_message, health_checked_at, latency_ms, live_form, created_at, updated_at

-- name: set_live_form
-- Keep what the service said of itself.
update services set live_form = :live_form, description_read_at = :now where id = :service_id

-- name: delete_service
-- Remove a service that no job refers to; nothing when one does.
delete from services s
where id = :service_id and not exists (select 1 from imputation_jobs j where j.service_id = s.id)
returning id

-- name: note_health_check
-- A look at the service begins.
update services set health_checked_at = :now where id = :service_id

-- name: list_health
-- What was seen of a service, newest first.
select checked_at, state, latency_ms, message
from service_health where service_id = :service_id
order by checked_at desc
limit :limit

-- name: list_panels
-- Panels of a service by age, those that are switched off or vanished only on demand.
select id, service_id, key, name, populations, builds, version, is_active, source, created_at, updated_at
from reference_panels
where service_id = :service_id and (is_active or :inactive_too)
order by id
limit :limit offset :offset

-- name: count_panels
-- How many panels `list_panels` would list.
select count(*) from reference_panels where service_id = :service_id and (is_active or :inactive_too)

-- name: get_panel
-- One panel of a service.
select id, service_id, key, name, populations, builds, version, is_active, source, created_at, updated_at
from reference_panels where id = :panel_id and service_id = :service_id

-- name: insert_panel
-- Add a panel; nothing when the service has one with this key.
insert into reference_panels (service_id, key, name, populations, builds, version, is_active, source)
values (:service_id, :key, :name, :populations, :builds, :version, :is_active, 'manual')
on conflict (service_id, key) do nothing
returning id, service_id, key, name, populations, builds, version, is_active, source, created_at, updated_at

-- name: update_panel
-- Write what administrators set about a panel.
update reference_panels
set name = :name, populations = :populations, builds = :builds, version = :version, is_active = :is_active, source = :source
where id = :panel_id and service_id = :service_id
returning id, service_id, key, name, populations, builds, version, is_active, source, created_at, updated_at

-- name: delete_panel
-- Remove a panel; jobs that used it keep its key and name.
delete from reference_panels where id = :panel_id and service_id = :service_id
returning id

-- name: release_panels
-- Let the service's own list replace panels that were entered by hand.
update reference_panels set source = 'live' where service_id = :service_id and key = any (:keys::text[])

-- name: upsert_live_panel
-- Write a panel as the service lists it. One that was entered by hand keeps what was entered.
insert into reference_panels (service_id, key, name, populations, builds, version, source)
values (:service_id, :key, :name, :populations, :builds, :version, 'live')
on conflict (service_id, key) do update
set name = excluded.name, populations = excluded.populations, version = excluded.version, is_active = true,
    -- a service that does not tell the builds of a panel does not take back what somebody knows of them
    builds = case when cardinality(excluded.builds) > 0 then excluded.builds else reference_panels.builds end
where reference_panels.source = 'live'

-- name: retire_live_panels
-- Switch off the panels that the service no longer lists; gives their keys.
update reference_panels set is_active = false
where service_id = :service_id and source = 'live' and is_active and key <> all (:keys::text[])
returning key
