-- How far the worker that has an analysis in hand has come: its share of the bytes (0 to 1), and the file that it reads.
alter table job_analyses
    add column share double precision check (share between 0 and 1),
    add column reading text;
