\set aid random(1, 500000)
\if :client_id % 2
SET work_mem = '5MB';
\else
SET work_mem = '6MB';
\endif
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
BEGIN;
SET LOCAL statement_timeout = 10000;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
COMMIT;
SELECT count(*) FROM pgbench_branches;
RESET work_mem;
