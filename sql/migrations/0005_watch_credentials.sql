-- Credentials that do not surprise: when each is looked at again, and what its people were told of its end.

-- One row for each stored credential, and one (credential_id null) for the shared one of a service. The watch keeps them in step with
-- what is stored by itself, by a digest of what is sealed: a replaced credential is a new one.
create table credential_watch (
    id bigint generated always as identity primary key,
    service_id bigint not null references services on delete cascade,
    credential_id bigint references user_service_credentials on delete cascade,
    secret_md5 text not null,
    check_at timestamptz not null,
    check_until timestamptz,
    -- of the shared one; a user's own stand with the credential
    expires_at timestamptz,
    rejected_at timestamptz,
    -- how near its end was when that was told last, and which end that was (app/core/expiry.py)
    told smallint not null default 0 check (told between 0 and 3),
    told_for timestamptz,
    unique nulls not distinct (service_id, credential_id)
);
-- user_service_credentials: rows that go with their credential
create index credential_watch_of_credential on credential_watch (credential_id) where credential_id is not null;
-- credential_watch.claim_check
create index credential_watch_due on credential_watch (check_at);

-- What the owner should know of a job that was accepted all the same.
alter table imputation_jobs add column warnings text[] not null default '{}';
-- What the service said each time it was unclear whether it had taken the job, and it turned out that it had not.
alter table imputation_jobs add column unclear_answers text[] not null default '{}';
-- credential_watch.get_typical_duration
create index jobs_completed_of_service on imputation_jobs (service_id, completed_at) where status = 'completed';
