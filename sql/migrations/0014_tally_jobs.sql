-- How many jobs a user has, without looking at each: a list says how many there are on every page, and counting 100,000 took longer
-- than all else (bench/api.py).
--
-- A row is a change of a number, and the number is the sum of its rows. Adding a row waits for nobody, whereas one row for each user
-- would make all who move a user's jobs wait for each other. jobs.fold_tallies makes one row of many. There is no foreign key:
-- when a user is deleted, the deletion of the jobs still adds to the tallies, whose sum is then 0 and goes with the next folding.
create table job_tallies (
    user_id bigint not null,
    status text not null,
    jobs bigint not null
);
-- jobs.count_all, jobs.fold_tallies
create index job_tallies_of_user on job_tallies (user_id) include (status, jobs);

create function tally_new_jobs() returns trigger language plpgsql as $$
begin
    insert into job_tallies select user_id, status, count(*) from added group by user_id, status;
    return null;
end $$;
create trigger imputation_jobs_tally_new after insert on imputation_jobs referencing new table as added
    for each statement execute function tally_new_jobs();

create function tally_gone_jobs() returns trigger language plpgsql as $$
begin
    insert into job_tallies select user_id, status, -count(*) from gone group by user_id, status;
    return null;
end $$;
create trigger imputation_jobs_tally_gone after delete on imputation_jobs referencing old table as gone
    for each statement execute function tally_gone_jobs();

create function tally_moved_job() returns trigger language plpgsql as $$
begin
    insert into job_tallies values (old.user_id, old.status, -1), (new.user_id, new.status, 1);
    return null;
end $$;
create trigger imputation_jobs_tally_moved after update of status, user_id on imputation_jobs
    for each row when ((old.status, old.user_id) is distinct from (new.status, new.user_id))
    execute function tally_moved_job();

insert into job_tallies select user_id, status, count(*) from imputation_jobs group by user_id, status;
