-- Room that is reserved for files while they are being received.

-- name: purge
-- Forget reservations of a user's whose process went away without ending them.
delete from upload_reservations where user_id = :user_id and expires_at < now() and id <> :id

-- name: sum_others
-- How many bytes a user has stored, and reserved for other uploads.
select (
    (select coalesce(sum(size_bytes), 0) from files where user_id = :user_id and storage_key is not null)
    + (select coalesce(sum(size_bytes), 0) from upload_reservations where user_id = :user_id and id <> :id)
)::bigint

-- name: reserve
-- Reserve room for an upload, or change how much it is and for how long.
insert into upload_reservations (id, user_id, size_bytes, owner, expires_at)
values (:id, :user_id, :size_bytes, :owner, now() + make_interval(secs => :lease_s::double precision))
on conflict (id) do update set size_bytes = excluded.size_bytes, expires_at = excluded.expires_at

-- name: release
-- End a reservation.
delete from upload_reservations where id = :id
