-- What the results of a job say of their quality, computed once from its files. A row that is due is handed to a worker again and again.
create table job_analyses (
    job_id uuid primary key references imputation_jobs on delete cascade,
    version integer not null,
    state text not null check (state in ('due', 'done', 'failed')),
    result jsonb,
    error text,
    attempts integer not null default 0,
    lease_until timestamptz,
    computed_at timestamptz,
    check ((state = 'done') = (result is not null))
);
-- analyses.list_due
create index job_analyses_due on job_analyses (job_id) where state = 'due';
