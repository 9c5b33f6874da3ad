-- The platform's tables. PostgreSQL is the truth: whatever is due stands here, with a time, a lease and an owner.

create function touch_updated_at() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    return new;
end $$;

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;

-- People ---------------------------------------------------------------------------------------------------------

create table users (
    id bigint generated always as identity primary key,
    username text not null check (length(username) between 1 and 100),
    email text,
    pending_email text,
    email_verified_at timestamptz,
    full_name text,
    institution text,
    country text,
    role text not null default 'user' check (role in ('user', 'admin')),
    password_hash text not null,
    token_version integer not null default 0,
    is_active boolean not null default true,
    notification_preferences jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    last_login_at timestamptz
);
-- accounts.find_user_by_username; names differ by more than case
create unique index users_username on users (lower(username));
-- accounts.find_user_by_email
create unique index users_email on users (lower(email)) where email is not null;
create trigger users_touch before update on users for each row execute function touch_updated_at();

create table one_time_tokens (
    id bigint generated always as identity primary key,
    user_id bigint references users on delete cascade,
    purpose text not null check (purpose in ('password_reset', 'email_confirm', 'setup')),
    token_hash bytea not null unique,
    data jsonb not null default '{}',
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz
);

-- Services -------------------------------------------------------------------------------------------------------

create table services (
    id bigint generated always as identity primary key,
    slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text not null,
    description text not null default '',
    api_type text not null check (api_type in ('michigan', 'ga4gh_wes')),
    base_url text not null,
    location text,
    country text,
    supported_builds text[] not null default '{hg19,hg38}',
    credential_kind text not null default 'token' check (credential_kind in ('none', 'token', 'password')),
    credential_policy text not null default 'per_user' check (credential_policy in ('per_user', 'shared')),
    shared_with jsonb not null default '{"roles": ["user", "admin"]}',
    shared_secret bytea,
    shared_secret_key_id text,
    allow_insecure boolean not null default false,
    api_config jsonb not null default '{}',
    is_active boolean not null default true,
    poll_interval_s double precision not null default 30 check (poll_interval_s > 0),
    wait_limit_s double precision not null default 604800 check (wait_limit_s > 0),
    max_remote_jobs integer check (max_remote_jobs > 0),
    health text not null default 'unknown' check (health in ('unknown', 'up', 'down', 'maintenance')),
    health_message text,
    health_checked_at timestamptz,
    latency_ms double precision,
    description_read_at timestamptz,
    live_form jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create trigger services_touch before update on services for each row execute function touch_updated_at();

create table service_health (
    id bigint generated always as identity primary key,
    service_id bigint not null references services on delete cascade,
    checked_at timestamptz not null default now(),
    state text not null check (state in ('unknown', 'up', 'down', 'maintenance')),
    latency_ms double precision,
    message text
);
-- services.list_health
create index service_health_recent on service_health (service_id, checked_at desc);

create table reference_panels (
    id bigint generated always as identity primary key,
    service_id bigint not null references services on delete cascade,
    key text not null,
    name text not null,
    populations jsonb not null default '[]',
    builds text[] not null default '{}',
    version text,
    is_active boolean not null default true,
    source text not null default 'manual' check (source in ('manual', 'live')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (service_id, key)
);
create trigger reference_panels_touch before update on reference_panels
    for each row execute function touch_updated_at();

create table user_service_credentials (
    id bigint generated always as identity primary key,
    user_id bigint not null references users on delete cascade,
    service_id bigint not null references services on delete cascade,
    label text not null default '',
    credential_type text not null check (credential_type in ('token', 'password')),
    secret bytea not null,
    secret_key_id text not null,
    origin text not null,
    is_active boolean not null default true,
    is_verified boolean not null default false,
    verified_at timestamptz,
    account_name text,
    expires_at timestamptz,
    rejected_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (user_id, service_id)
);
create trigger user_service_credentials_touch before update on user_service_credentials
    for each row execute function touch_updated_at();

-- Whose quota a remote job uses: one user's account at a service, or the shared one (user_id null).
-- Polling and submission are leased per account, so that several processes share the work.
create table service_accounts (
    id bigint generated always as identity primary key,
    service_id bigint not null references services on delete cascade,
    user_id bigint references users on delete cascade,
    poll_owner text,
    poll_lease_until timestamptz,
    submit_owner text,
    submit_lease_until timestamptz,
    submit_epoch bigint not null default 0,
    next_poll_at timestamptz not null default now(),
    poll_failures integer not null default 0,
    unique nulls not distinct (service_id, user_id)
);

-- Files ----------------------------------------------------------------------------------------------------------

create table files (
    id bigint generated always as identity primary key,
    user_id bigint not null references users on delete cascade,
    kind text not null check (kind in ('input', 'result', 'archive')),
    name text not null,
    storage_key text unique,
    size_bytes bigint not null check (size_bytes >= 0),
    sha256 text,
    crc32 bigint,
    content_type text not null default 'application/octet-stream',
    facts jsonb,
    -- uploaded for itself: it stays when the jobs that used it are deleted
    kept boolean not null default false,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    check ((kind = 'archive') = (storage_key is null))
);
-- files.list_files
create index files_of_user on files (user_id, id desc);
-- files.lock_expired
create index files_by_expiry on files (expires_at) where expires_at is not null;

create table signed_links (
    id uuid primary key default gen_random_uuid(),
    file_id bigint not null references files on delete cascade,
    user_id bigint references users on delete cascade,
    job_id uuid,
    purpose text not null check (purpose in ('download', 'results_mail', 'remote_input')),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);
-- files.find_link
create index signed_links_of_file on signed_links (file_id, user_id);

-- Jobs -----------------------------------------------------------------------------------------------------------

create table imputation_jobs (
    id uuid primary key default gen_random_uuid(),
    user_id bigint not null references users on delete cascade,
    name text not null,
    description text not null default '',
    status text not null default 'pending'
        check (status in ('pending', 'queued', 'running', 'completed', 'failed', 'cancelled')),
    stage text,
    hold_reason text,
    progress_percentage integer not null default 0 check (progress_percentage between 0 and 100),
    service_id bigint not null references services on delete restrict,
    account_id bigint not null references service_accounts on delete restrict,
    reference_panel_id bigint references reference_panels on delete set null,
    panel_key text not null,
    panel_name text not null,
    input_format text not null default 'vcf',
    build text not null check (build in ('hg19', 'hg38')),
    phasing boolean not null,
    phasing_engine text,
    population text,
    options jsonb not null default '{}',
    input_file_id bigint references files on delete set null,
    -- how many input files there were, however many are still stored
    input_count integer not null default 1 check (input_count > 0),
    results_file_id bigint references files on delete set null,
    error_code text,
    error_message text,
    error_action text,
    priority integer not null default 0,
    retry_of uuid references imputation_jobs on delete set null,
    batch_id uuid,

    -- the remote job
    remote_name text not null unique,
    external_job_id text,
    remote_state text,
    remote_step text,
    queue_position integer,
    archive_secret bytea not null,
    archive_secret_key_id text not null,
    results_expire_at timestamptz,
    outcome text check (outcome in ('completed', 'failed', 'cancelled')),

    -- what is due: one next action, its time, and who has it in hand
    next_action text check (next_action in ('submit', 'poll', 'collect', 'cancel')),
    next_action_at timestamptz,
    lease_owner text,
    lease_until timestamptz,
    step_number integer not null default 0,
    failures integer not null default 0,
    has_slot boolean not null default false,

    -- the submission intent: set, and committed, before the first byte is sent
    intent_at timestamptz,
    searches integer not null default 0,

    cancel_requested_at timestamptz,
    notified_waiting_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    started_at timestamptz,
    submitted_at timestamptz,
    completed_at timestamptz,
    check ((status in ('completed', 'failed', 'cancelled')) = (completed_at is not null)),
    check (status not in ('completed', 'failed', 'cancelled') or next_action is null)
);
create trigger imputation_jobs_touch before update on imputation_jobs
    for each row execute function touch_updated_at();
-- jobs.list_jobs
create index jobs_of_user on imputation_jobs (user_id, created_at desc, id);
-- engine.list_due_steps
create index jobs_due on imputation_jobs (next_action, next_action_at) where next_action is not null;
-- engine.claim_submission, engine.list_polled, engine.count_slots
create index jobs_of_account on imputation_jobs (account_id, next_action) where completed_at is null;
-- jobs.list_jobs filtered by service, services.delete_service
create index jobs_of_service on imputation_jobs (service_id);
-- files.delete_file, files.delete_expired: their references here are set to null
create index jobs_of_input on imputation_jobs (input_file_id) where input_file_id is not null;
create index jobs_of_results on imputation_jobs (results_file_id) where results_file_id is not null;
-- jobs.delete_job, likewise
create index jobs_of_retry on imputation_jobs (retry_of) where retry_of is not null;

create table job_status_updates (
    id bigint generated always as identity primary key,
    job_id uuid not null references imputation_jobs on delete cascade,
    user_id bigint not null,
    status text not null
        check (status in ('pending', 'queued', 'running', 'completed', 'failed', 'cancelled')),
    stage text,
    progress_percentage integer not null,
    message text not null,
    timestamp timestamptz not null default clock_timestamp()
);
-- jobs.list_status_updates
create index job_status_updates_of_job on job_status_updates (job_id, id desc);
-- events.list_since
create index job_status_updates_of_user on job_status_updates (user_id, id);

create function announce_status_update() returns trigger language plpgsql as $$
begin
    perform pg_notify('job_events', new.user_id || ' ' || new.job_id || ' ' || new.id);
    return null;
end $$;
create trigger job_status_updates_announce after insert on job_status_updates
    for each row execute function announce_status_update();

create table job_files (
    job_id uuid not null references imputation_jobs on delete cascade,
    file_id bigint not null references files on delete cascade,
    role text not null check (role in ('input', 'result', 'qc', 'log', 'archive')),
    name text not null,
    position integer not null,
    primary key (job_id, role, name)
);
-- files.count_references
create index job_files_of_file on job_files (file_id);

-- What the remote offers for download, fetched once each because the remote counts.
create table job_outputs (
    job_id uuid not null references imputation_jobs on delete cascade,
    key text not null,
    name text not null,
    role text not null check (role in ('result', 'qc', 'log')),
    attempts integer not null default 0,
    downloads_left integer,
    last_error text,
    fetched_at timestamptz,
    skipped boolean not null default false,
    primary key (job_id, key)
);

create table job_messages (
    job_id uuid not null references imputation_jobs on delete cascade,
    position integer not null,
    step text not null,
    level text not null check (level in ('ok', 'error', 'warning', 'running')),
    text text not null,
    primary key (job_id, position)
);

-- Notices --------------------------------------------------------------------------------------------------------

create table notifications (
    id bigint generated always as identity primary key,
    user_id bigint not null references users on delete cascade,
    job_id uuid references imputation_jobs on delete set null,
    dedup_key text not null unique,
    type text not null,
    title text not null,
    message text not null,
    data jsonb not null default '{}',
    channels text[] not null,
    is_read boolean not null default false,
    created_at timestamptz not null default now()
);
-- notices.list_notifications
create index notifications_of_user on notifications (user_id, id desc);
-- jobs.delete_job: references here are set to null
create index notifications_of_job on notifications (job_id) where job_id is not null;

create table outbox (
    id bigint generated always as identity primary key,
    user_id bigint references users on delete cascade,
    dedup_key text not null unique,
    template text not null,
    recipient text not null,
    data jsonb not null default '{}',
    secret_data bytea,
    secret_data_key_id text,
    created_at timestamptz not null default now(),
    due_at timestamptz not null default now(),
    lease_until timestamptz,
    attempts integer not null default 0,
    delivered_at timestamptz,
    gave_up_at timestamptz,
    last_error text
);
-- notices.claim_mail
create index outbox_due on outbox (due_at) where delivered_at is null and gave_up_at is null;

-- Memory of requests and acts ---------------------------------------------------------------------------------

create table idempotency_keys (
    user_id bigint not null references users on delete cascade,
    route text not null,
    key text not null,
    fingerprint text not null,
    status integer not null,
    body bytea not null,
    created_at timestamptz not null default now(),
    primary key (user_id, route, key)
);

create table audit_logs (
    id bigint generated always as identity primary key,
    user_id bigint,
    action text not null,
    resource_type text,
    resource_id text,
    details jsonb not null default '{}',
    address text,
    timestamp timestamptz not null default now()
);
-- audit.list_audit
create index audit_logs_of_user on audit_logs (user_id, id desc);
create trigger audit_logs_append_only before update or delete on audit_logs
    for each row execute function refuse_change();
create trigger audit_logs_no_truncate before truncate on audit_logs
    for each statement execute function refuse_change();
