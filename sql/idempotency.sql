-- name: find_answer
-- The answer that a user's request with this key was given.
select fingerprint, status, body
from idempotency_keys
where user_id = :user_id and route = :route and key = :key

-- name: remember_answer
-- Keep an answer, unless the key has one already; gives the key when it was kept.
insert into idempotency_keys (user_id, route, key, fingerprint, status, body)
values (:user_id, :route, :key, :fingerprint, :status, :body)
on conflict do nothing
returning key
