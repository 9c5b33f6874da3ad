-- Files: what is stored for whom, which jobs use it, and the links that are signed for it.

-- name: list_archive_members
-- The files of a job that its archive holds, in the order in which they arrived.
select jf.name, f.size_bytes, f.sha256, f.crc32, f.storage_key
from job_files jf join files f on f.id = jf.file_id
where jf.job_id = :job_id and jf.role in ('result', 'qc') and f.storage_key is not null and f.crc32 is not null
order by jf.position

-- name: find_archive
-- The archive of a job.
select file_id from job_files where job_id = :job_id and role = 'archive'

-- name: insert_archive
-- A ZIP made on the fly from the files of a job.
with made as (
    insert into files (user_id, kind, name, size_bytes, content_type, expires_at)
    values (:user_id, 'archive', :name, :size_bytes, 'application/zip', :expires_at)
    returning id, name
)
insert into job_files (job_id, file_id, role, name, position)
select :job_id, made.id, 'archive', made.name, (select coalesce(max(position) + 1, 0) from job_files where job_id = :job_id)
from made
returning file_id
