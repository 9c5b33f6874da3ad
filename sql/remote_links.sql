-- What a job's remote reads and pushes by signed links. How they are made and ended is in engine.sql.

-- name: find_input
-- The input file behind a link that is good, with its name in the job and the index that was made of it.
select l.id as link_id, l.job_id, l.first_fetched_at, j.user_id, jf.name as travel_name, f.id, f.storage_key, f.size_bytes, f.sha256,
    f.content_type, i.file_id is not null as is_indexed, i.storage_key as index_key, i.size_bytes as index_bytes,
    i.sha256 as index_sha256
from signed_links l
join imputation_jobs j on j.id = l.job_id
join job_files jf on jf.job_id = l.job_id and jf.file_id = l.file_id and jf.role = 'input'
join files f on f.id = l.file_id
left join file_indexes i on i.file_id = l.file_id
where l.id = :link_id and l.file_id = :file_id and l.purpose = 'remote_input' and l.revoked_at is null
    and l.expires_at > :now and j.completed_at is null and f.storage_key is not null

-- name: note_use
-- A link was used; not written down more often than once a minute.
update signed_links set
    first_fetched_at = coalesce(first_fetched_at, :now), last_used_at = :now
where id = :link_id and (last_used_at is null or last_used_at < :now::timestamptz - interval '1 minute')

-- name: insert_index
-- The index of a file, or (without key) that none can be made; gives nothing when somebody was faster.
insert into file_indexes (file_id, storage_key, size_bytes, sha256, made_at)
values (:file_id, :storage_key, :size_bytes, :sha256, :now)
on conflict (file_id) do nothing
returning file_id

-- name: list_sheet
-- The input links of the job behind a link to its sample sheet, in the order of the files.
select i.id as link_id, i.file_id, jf.name as travel_name
from signed_links l
join imputation_jobs j on j.id = l.job_id
join signed_links i on i.job_id = l.job_id and i.purpose = 'remote_input' and i.revoked_at is null
join job_files jf on jf.job_id = i.job_id and jf.file_id = i.file_id and jf.role = 'input'
where l.id = :link_id and l.purpose = 'remote_sheet' and l.revoked_at is null and l.expires_at > :now and j.completed_at is null
order by jf.position

-- name: find_upload
-- The open job behind an upload link that is good.
select j.id as job_id, j.user_id from signed_links l join imputation_jobs j on j.id = l.job_id
where l.id = :link_id and l.purpose = 'remote_upload' and l.revoked_at is null and l.expires_at > :now
    and j.completed_at is null

-- name: hold_upload
-- The same, held until the transaction ends: one result at a time joins a job, and none once it has ended.
select j.id as job_id, j.user_id from signed_links l join imputation_jobs j on j.id = l.job_id
where l.id = :link_id and l.purpose = 'remote_upload' and l.revoked_at is null and l.expires_at > :now
    and j.completed_at is null
for update of l

-- name: measure_results
-- How many result files a job has and how large they are together.
select count(*) as files, coalesce(sum(f.size_bytes), 0)::bigint as size_bytes
from job_files jf join files f on f.id = jf.file_id
where jf.job_id = :job_id and jf.role in ('result', 'qc', 'log')

-- name: find_result
-- A result file of a job by its name.
select jf.name, f.size_bytes, f.sha256 from job_files jf join files f on f.id = jf.file_id
where jf.job_id = :job_id and jf.role in ('result', 'qc', 'log') and jf.name = :name
