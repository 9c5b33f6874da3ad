-- Batches: jobs that were made of one upload.

-- name: insert_batch
-- A batch that has just been created.
insert into batches (id, user_id, name, description, retry_of, created_at)
values (:id, :user_id, :name, :description, :retry_of, :now)
returning *

-- name: get_own_batch
-- A batch of a user's.
select * from batches where id = :batch_id and user_id = :user_id

-- name: list_jobs
-- The jobs of a batch, in the order of its targets.
select * from imputation_jobs where batch_id = :batch_id order by batch_position, id

-- name: lock_jobs
-- The jobs of a batch, held for deletion.
select * from imputation_jobs where batch_id = :batch_id order by id for update

-- name: list_batches
-- A user's batches, newest first, with how many jobs have which status. `seen` has a bit for what its jobs came to
-- (app.core.batches.Seen).
select b.*, s.counts
from batches b cross join lateral (
    select jsonb_object_agg(c.status, c.jobs) as counts,
        bit_or(case c.status when 'completed' then 2 when 'failed' then 4 when 'cancelled' then 8 else 1 end) as seen
    from (select j.status, count(*) as jobs from imputation_jobs j where j.batch_id = b.id group by j.status) c
) s
where b.user_id = :user_id
    and (:seen::integer[] is null or coalesce(s.seen, 0) = any(:seen))
    and (:pattern::text is null or b.name ilike :pattern or b.description ilike :pattern or b.id::text ilike :pattern)
order by b.created_at desc, b.id limit :limit offset :offset

-- name: count_batches
-- How many batches of a user's there are.
select count(*)
from batches b cross join lateral (
    select bit_or(case j.status when 'completed' then 2 when 'failed' then 4 when 'cancelled' then 8 else 1 end) as seen
    from imputation_jobs j where j.batch_id = b.id
) s
where b.user_id = :user_id
    and (:seen::integer[] is null or coalesce(s.seen, 0) = any(:seen))
    and (:pattern::text is null or b.name ilike :pattern or b.description ilike :pattern or b.id::text ilike :pattern)

-- name: find_newest_retry
-- The newest batch that was made of a batch by trying it again.
select id, created_at from batches where retry_of = :batch_id and user_id = :user_id order by created_at desc, id limit 1

-- name: hold_batch
-- A batch, held against deletion until the transaction ends.
select id from batches where id = :batch_id for key share

-- name: hold_jobs
-- Some jobs, held against deletion until the transaction ends.
select id from imputation_jobs where id = any(:ids::uuid[]) order by id for key share

-- name: lock_batch
-- A batch, so that of two jobs that are deleted at the same time one sees that it is the last.
select id from batches where id = :batch_id for update

-- name: delete_batch
-- Forget a batch.
delete from batches where id = :batch_id

-- name: delete_empty
-- Forget a batch whose last job was deleted.
delete from batches b where b.id = :batch_id
    and not exists (select from imputation_jobs j where j.batch_id = b.id)
