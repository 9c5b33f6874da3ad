-- What services need that fetch their input and push their results, and that cannot always say what they have.

-- Links for remotes: `remote_input` leads to one file, `remote_sheet` and `remote_upload` to the job alone.
alter table signed_links
    alter column file_id drop not null,
    drop constraint signed_links_purpose_check,
    add constraint signed_links_purpose_check
        check (purpose in ('download', 'results_mail', 'remote_input', 'remote_sheet', 'remote_upload')),
    add constraint signed_links_leads_somewhere
        check (case when purpose in ('remote_sheet', 'remote_upload') then job_id is not null and file_id is null
                    else file_id is not null end),
    add column first_fetched_at timestamptz,
    add column last_used_at timestamptz;
-- engine.ensure_remote_link; engine.revoke_remote_links
create unique index signed_links_of_remote on signed_links (job_id, purpose, file_id) nulls not distinct
    where purpose in ('remote_input', 'remote_sheet', 'remote_upload') and revoked_at is null;

-- The tabix index of an input file, made when a remote first asks for it; without key: none can be made.
create table file_indexes (
    file_id bigint primary key references files on delete cascade,
    storage_key text unique,
    size_bytes bigint not null default 0 check (size_bytes >= 0),
    sha256 text,
    made_at timestamptz not null
);

alter table imputation_jobs
    -- since when the remote has not known the job, look after look
    add column missing_since timestamptz,
    -- searches that found nothing and proved nothing
    add column doubts integer not null default 0,
    -- when the remote first answered that it was asked to stop the job
    add column cancel_taken_at timestamptz,
    -- result files of a completed job that stayed at the service
    add column results_held integer not null default 0 check (results_held >= 0);
-- engine.find_holder
create index jobs_of_remote on imputation_jobs (service_id, external_job_id) where external_job_id is not null;

-- Where a file lies that cannot be fetched.
alter table job_outputs
    add column held_at text,
    add column size_bytes bigint;
