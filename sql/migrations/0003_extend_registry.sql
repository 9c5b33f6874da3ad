-- The registry of services: where they are, maintenance, what is due for them, and panels with their versions.

alter table services
    add column institution text,
    add column city text,
    add column latitude double precision check (latitude between -90 and 90),
    add column longitude double precision check (longitude between -180 and 180),
    -- an administrator's word; what the service says of itself is `health`
    add column maintenance boolean not null default false,
    add column maintenance_message text,
    -- looks at its health that failed in a row
    add column health_failures integer not null default 0,
    -- when the description (panels, options) is to be read again by itself; null: at once
    add column next_read_at timestamptz,
    add check ((latitude is null) = (longitude is null));

-- Which dialects there are is for the registry of adapters to say: a new one is no migration.
alter table services drop constraint services_api_type_check;
alter table services add constraint services_api_type_check check (api_type ~ '^[a-z][a-z0-9_]{0,49}$');

-- Shorter pauses between looks are refused from now on.
update services set poll_interval_s = 1 where poll_interval_s < 1;

-- services.claim_description
create index services_by_reading on services (next_read_at nulls first) where is_active;
-- engine.purge_health
create index service_health_by_age on service_health using brin (checked_at);

-- A panel of another version is another row; the former one stays, retired, for the jobs that used it.
alter table reference_panels add column retired_at timestamptz;
update reference_panels set retired_at = updated_at where source = 'live' and not is_active;
alter table reference_panels drop constraint reference_panels_service_id_key_key;
-- services.insert_panel, services.upsert_live_panel
create unique index reference_panels_current on reference_panels (service_id, key) where retired_at is null;
-- services.list_panels, services.restore_panel
create index reference_panels_of_service on reference_panels (service_id, key);

alter table imputation_jobs add column panel_version text;
update imputation_jobs j set panel_version = p.version
from reference_panels p where p.id = j.reference_panel_id and j.panel_version is null;
