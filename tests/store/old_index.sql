CREATE TABLE environments(hash VARCHAR, content VARCHAR);
CREATE TABLE ingested_files(folder VARCHAR, mtime BIGINT, size BIGINT);
CREATE TABLE metrics(folder VARCHAR, task VARCHAR, metric VARCHAR, value DOUBLE, higher_is_better BOOLEAN);
CREATE TABLE runs(
    folder VARCHAR, run_id VARCHAR, attempt INTEGER, status VARCHAR, dataset VARCHAR, backbone VARCHAR,
    weighting VARCHAR, seed BIGINT, started VARCHAR, finished VARCHAR, seconds DOUBLE, seconds_by_phase VARCHAR,
    error VARCHAR, cell VARCHAR, facts VARCHAR, environment VARCHAR
);
CREATE TABLE schema_version(version INTEGER);
CREATE VIEW v_latest AS
SELECT * FROM runs QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY attempt DESC) = 1;
CREATE VIEW v_scores AS
WITH latest AS (
    SELECT * FROM runs WHERE status = 'ok'
    QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY attempt DESC) = 1
)
SELECT run_id, attempt, dataset, backbone, weighting, seed, task, metric, value, higher_is_better
FROM latest JOIN metrics USING (folder);
INSERT INTO schema_version VALUES (1);
INSERT INTO ingested_files VALUES
    ('8ac35f340398cf28', 1795681087947001662, 1685), ('aec11bc8d2025370', 1795681087907486899, 1247);
INSERT INTO runs (folder, run_id, attempt, status) VALUES
    ('8ac35f340398cf28', '8ac35f340398cf28', 1, 'ok'), ('aec11bc8d2025370', 'aec11bc8d2025370', 1, 'killed');
