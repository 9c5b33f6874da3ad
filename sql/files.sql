-- Files: what is stored for whom, which jobs use it, and the links that are signed for it.

-- name: list_archive_members
-- The files of a job that its archive holds, in the order in which they arrived.
select jf.name, f.size_bytes, f.sha256, f.crc32, f.storage_key
from job_files jf join files f on f.id = jf.file_id
where jf.job_id = :job_id and jf.role in ('result', 'qc') and f.storage_key is not null and f.crc32 is not null
order by jf.position

-- name: list_held
-- The files of a job that lie at its service and could not be fetched.
select name, held_at, size_bytes from job_outputs
where job_id = :job_id and held_at is not null and fetched_at is null
order by name

-- name: find_archive
-- The archive of a job.
select file_id from job_files where job_id = :job_id and role = 'archive'

-- name: insert_archive
-- A ZIP made on the fly from the files of a job; unless said, it expires with the last of them.
with made as (
    insert into files (user_id, kind, name, size_bytes, content_type, expires_at)
    select :user_id, 'archive', :name, :size_bytes, 'application/zip', coalesce(:expires_at, max(f.expires_at))
    from job_files jf join files f on f.id = jf.file_id where jf.job_id = :job_id and jf.role in ('result', 'qc')
    returning id, name
)
insert into job_files (job_id, file_id, role, name, position)
select :job_id, made.id, 'archive', made.name, (select coalesce(max(position) + 1, 0) from job_files where job_id = :job_id)
from made
returning file_id

-- name: insert_file
-- A stored file.
insert into files (user_id, kind, name, storage_key, size_bytes, sha256, crc32, content_type, facts, kept, expires_at)
values (:user_id, 'input', :name, :storage_key, :size_bytes, :sha256, :crc32, :content_type, :facts, :kept, :expires_at)
returning *

-- name: get_own_file
-- A file of a user's.
select * from files where id = :file_id and user_id = :user_id

-- name: list_files
-- A user's files, newest first.
select * from files
where user_id = :user_id and (:kind::text is null or kind = :kind)
order by id desc limit :limit offset :offset

-- name: count_files
-- How many files a user has.
select count(*) from files where user_id = :user_id and (:kind::text is null or kind = :kind)

-- name: sum_stored
-- How many bytes a user has stored.
select coalesce(sum(size_bytes), 0)::bigint from files where user_id = :user_id and storage_key is not null

-- name: list_inputs
-- A user's stored input files among some.
select * from files
where id = any(:ids::bigint[]) and user_id = :user_id and kind = 'input' and storage_key is not null

-- name: hold_inputs
-- A user's stored input files among some, held against deletion until the transaction ends.
select * from files
where id = any(:ids::bigint[]) and user_id = :user_id and kind = 'input' and storage_key is not null
for key share

-- name: use_inputs
-- Files that a new job uses expire no sooner than new ones.
update files set expires_at = greatest(expires_at, :expires_at) where id = any(:ids::bigint[])

-- name: insert_job_input
-- Put an input file in its place in a job.
insert into job_files (job_id, file_id, role, name, position)
values (:job_id, :file_id, 'input', :name, :position)

-- name: list_job_files
-- The files of some jobs, in order.
select jf.job_id, jf.file_id, jf.role, jf.name, jf.position, f.name as shown_name, f.size_bytes, f.sha256,
    f.content_type, f.created_at
from job_files jf join files f on f.id = jf.file_id
where jf.job_id = any(:job_ids::uuid[]) and (:role::text is null or jf.role = :role)
order by jf.job_id, jf.position

-- name: list_input_facts
-- What the structure check found in the input files of a job.
select f.name, f.facts from job_files jf join files f on f.id = jf.file_id
where jf.job_id = :job_id and jf.role = 'input' order by jf.position

-- name: lock_file
-- A user's file, held for deletion.
select * from files where id = :file_id and user_id = :user_id for update

-- name: find_open_user
-- An open job that uses a file.
select j.id from job_files jf join imputation_jobs j on j.id = jf.job_id
where jf.file_id = :file_id and j.completed_at is null limit 1

-- name: delete_file
-- Forget a file.
delete from files where id = :file_id

-- name: lock_job_files
-- The files of a job, held for deletion.
select f.id from files f join job_files jf on jf.file_id = f.id where jf.job_id = :job_id
order by f.id for update of f

-- name: delete_job_files
-- Forget the files that only this job uses, but not those that were uploaded for themselves; gives where their bytes are.
delete from files f
where f.id in (select file_id from job_files where job_id = :job_id) and not f.kept
    and not exists (select from job_files o where o.file_id = f.id and o.job_id <> :job_id)
returning f.storage_key

-- name: lock_expired
-- Files whose time is over and that no open job uses, held for deletion.
select f.id from files f
where f.expires_at < :now
    and not exists (
        select from job_files jf join imputation_jobs j on j.id = jf.job_id
        where jf.file_id = f.id and (j.completed_at is null or j.completed_at > :rest)
    )
order by f.expires_at limit :max_rows
for update of f skip locked

-- name: delete_expired
-- Forget some files unless a job has begun to use them; gives where their bytes are.
delete from files f
where f.id = any(:ids::bigint[]) and f.expires_at < :now
    and not exists (
        select from job_files jf join imputation_jobs j on j.id = jf.job_id
        where jf.file_id = f.id and (j.completed_at is null or j.completed_at > :rest)
    )
returning f.storage_key

-- name: list_known_keys
-- Those of some storage keys that belong to a file, or to the index of one.
select storage_key from files where storage_key = any(:keys::text[])
union all
select storage_key from file_indexes where storage_key = any(:keys::text[])

-- name: find_link
-- A link of a user's to a file that is still good for a while.
select id, expires_at from signed_links
where file_id = :file_id and user_id = :user_id and purpose = 'download' and revoked_at is null
    and expires_at > :good_until
order by expires_at desc limit 1

-- name: insert_link
-- A signed link.
insert into signed_links (file_id, user_id, purpose, created_at, expires_at)
values (:file_id, :user_id, 'download', :now, :expires_at)
returning id, expires_at

-- name: find_linked_file
-- The file of a link that is neither over nor revoked, and whose user may still sign in.
select f.* from signed_links l join files f on f.id = l.file_id left join users u on u.id = l.user_id
where l.id = :link_id and l.file_id = :file_id and l.purpose in ('download', 'results_mail')
    and l.revoked_at is null and l.expires_at > :now
    and (l.user_id is null or u.is_active)

-- name: revoke_links
-- End all links of a user's to a file.
update signed_links set revoked_at = :now
where file_id = :file_id and user_id = :user_id and revoked_at is null

-- name: purge_links
-- Forget links that ended a while ago.
delete from signed_links where expires_at < :before

-- name: find_archived_job
-- The job whose results an archive holds.
select job_id from job_files where file_id = :file_id and role = 'archive'

-- name: list_jobs_of_inputs
-- The jobs that have some files as their input, newest first (job_files_of_file).
select jf.file_id, j.id as job_id, j.name, j.status
from job_files jf join imputation_jobs j on j.id = jf.job_id
where jf.file_id = any(:file_ids) and jf.role = 'input' and j.user_id = :user_id
order by j.created_at desc
limit 500
