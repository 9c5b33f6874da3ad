-- One upload for several services: a batch groups the jobs that were made of it. Each of them lives its own life.

create table batches (
    id uuid primary key default gen_random_uuid(),
    user_id bigint not null references users on delete cascade,
    name text not null,
    description text not null default '',
    retry_of uuid references batches on delete set null,
    created_at timestamptz not null default now()
);
-- batches.list_batches
create index batches_of_user on batches (user_id, created_at desc, id);
-- batches.delete_batch: references here are set to null
create index batches_of_retry on batches (retry_of) where retry_of is not null;

-- There was no table for it to name: whatever stands in it means nothing.
update imputation_jobs set batch_id = null where batch_id is not null;
alter table imputation_jobs
    -- not «restrict»: it would stand in the way when a user goes, with both the batches and the jobs
    add constraint imputation_jobs_batch_id_fkey foreign key (batch_id) references batches on delete set null,
    -- the place among the targets of the request
    add column batch_position integer check (batch_position >= 0);
-- batches.list_jobs, batches.list_batches, jobs.list_jobs filtered by batch
create index jobs_of_batch on imputation_jobs (batch_id, batch_position) where batch_id is not null;

-- Room for files that are being received, so that the uploads of one user together never exceed what that user may store.
-- A row goes with its upload; that of a process that was killed counts until it expires.
create table upload_reservations (
    id uuid primary key,
    user_id bigint not null references users on delete cascade,
    size_bytes bigint not null check (size_bytes >= 0),
    owner text not null,
    expires_at timestamptz not null
);
-- uploads.sum_others, uploads.purge
create index upload_reservations_of_user on upload_reservations (user_id);
