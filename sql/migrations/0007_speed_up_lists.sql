-- The lists of a user with very many jobs.

-- jobs.count_jobs (from the index alone where nothing else is filtered), jobs.list_rows and jobs.list_jobs of one status
create index jobs_of_user_by_status on imputation_jobs (user_id, status, created_at desc, id);
-- jobs.list_finished, jobs.list_unseen_failures
create index jobs_of_user_ended on imputation_jobs (user_id, completed_at desc) where completed_at is not null;
-- jobs.list_held, jobs.list_rows of open jobs
create index jobs_of_user_open on imputation_jobs (user_id, created_at desc) where status in ('pending', 'queued', 'running');
-- jobs.list_parting
create index archives_of_user_by_expiry on files (user_id, expires_at) where kind = 'archive' and expires_at is not null;
