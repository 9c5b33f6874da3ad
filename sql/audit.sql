-- name: insert_audit
-- Write one act down.
insert into audit_logs (user_id, action, resource_type, resource_id, details, address)
values (:user_id, :action, :resource_type, :resource_id, :details, :address)

-- name: list_audit
-- Acts, newest first; of one user where one is named, of one action or those of a noun, since a time.
select id, user_id, action, resource_type, resource_id, details, address, timestamp
from audit_logs
where (:user_id::bigint is null or user_id = :user_id)
    and (:action::text is null or action = :action)
    and (:noun::text is null or split_part(action, '.', 1) = :noun)
    and (:since::timestamptz is null or timestamp >= :since)
order by id desc
limit :limit offset :offset

-- name: count_audit
-- How many acts `list_audit` would list.
select count(*)
from audit_logs
where (:user_id::bigint is null or user_id = :user_id)
    and (:action::text is null or action = :action)
    and (:noun::text is null or split_part(action, '.', 1) = :noun)
    and (:since::timestamptz is null or timestamp >= :since)
