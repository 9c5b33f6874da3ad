-- The bell on every page counts what was not read (notices.sql: count_unread).
create index notifications_unread on notifications (user_id) where not is_read;
