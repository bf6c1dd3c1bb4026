-- A database of revision 0001, from sqlite3's .dump: one trial that ended, one that runs.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO studies VALUES(1,'lab');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO version_info VALUES(1,12,'5.0.0');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO study_directions VALUES(1,'MINIMIZE',1,0);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO study_system_attributes VALUES(1,1,'study:metric_names','["query_loss"]');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO trials VALUES(1,0,1,'COMPLETE','2026-11-21 11:59:34.983435','2026-11-21 11:59:35.000973');
INSERT INTO trials VALUES(2,1,1,'RUNNING','2026-11-21 11:59:35.003408',NULL);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO trial_user_attributes VALUES(1,1,'outcome','"ok"');
INSERT INTO trial_user_attributes VALUES(2,1,'standard_error','0.02');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO trial_params VALUES(1,1,'lr',0.10000000000000000555,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO trial_params VALUES(2,2,'lr',0.10000000000000000555,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO trial_values VALUES(1,1,0,0.5,'FINITE');
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO trial_intermediate_values VALUES(1,1,50,0.9000000000000000222,'FINITE');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES('v3.2.0.a');
CREATE TABLE hpo_alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT hpo_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO hpo_alembic_version VALUES('0001');
CREATE TABLE hpo_study (
	study_id INTEGER NOT NULL, 
	metric VARCHAR(64) NOT NULL, 
	config JSON NOT NULL, 
	config_hash VARCHAR(64) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	priority INTEGER NOT NULL, 
	code_version VARCHAR(64) NOT NULL, 
	task_descriptor JSON, 
	created DOUBLE NOT NULL, 
	ask_owner VARCHAR(128), 
	ask_expires DOUBLE, 
	ask_floor INTEGER NOT NULL, 
	PRIMARY KEY (study_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE
);
INSERT INTO hpo_study VALUES(1,'query_loss','{"model": {"cell": "lstm", "hidden_size": 64}, "training": {"outer_lr": 0.002}}','h1','running',0,'0.1',NULL,1795262374.9730184077,NULL,NULL,0);
CREATE TABLE hpo_trial (
	trial_id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	config JSON, 
	seed BIGINT, 
	host VARCHAR(255), 
	device VARCHAR(64), 
	attempts INTEGER NOT NULL, 
	outcome VARCHAR(16), 
	reason TEXT, 
	objective_mean DOUBLE, 
	objective_sem DOUBLE, 
	posterior_mean DOUBLE, 
	meta_iterations INTEGER, 
	seconds DOUBLE, 
	peak_memory_bytes BIGINT, 
	checkpoint_uri TEXT, 
	token INTEGER, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE, 
	FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE
);
INSERT INTO hpo_trial VALUES(1,1,'{"model": {"cell": "lstm", "hidden_size": 64}, "training": {"outer_lr": 0.002}}',7,'host','cpu',1,'ok',NULL,0.5,0.020000000000000000416,0.5500000000000000444,300,12.5,5000000000,'file:///tmp/c',1);
INSERT INTO hpo_trial VALUES(2,1,'{"model": {"cell": "lstm", "hidden_size": 64}, "training": {"outer_lr": 0.002}}',7,'host','cpu',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE hpo_report (
	trial_id INTEGER NOT NULL, 
	meta_iteration INTEGER NOT NULL, 
	sem DOUBLE, 
	seconds DOUBLE NOT NULL, 
	PRIMARY KEY (trial_id, meta_iteration), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE
);
INSERT INTO hpo_report VALUES(1,50,0.050000000000000002775,5.0);
CREATE TABLE hpo_adaptation (
	trial_id INTEGER NOT NULL, 
	split VARCHAR(16) NOT NULL, 
	inner_step INTEGER NOT NULL, 
	loss DOUBLE, 
	loss_sem DOUBLE, 
	accuracy DOUBLE, 
	accuracy_sem DOUBLE, 
	tasks INTEGER NOT NULL, 
	PRIMARY KEY (trial_id, split, inner_step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE
);
INSERT INTO hpo_adaptation VALUES(1,'validation',0,1.6000000000000000888,0.020000000000000000416,0.2000000000000000111,0.010000000000000000208,200);
INSERT INTO hpo_adaptation VALUES(1,'validation',1,0.5,0.020000000000000000416,NULL,NULL,200);
CREATE TABLE hpo_lease (
	trial_id INTEGER NOT NULL, 
	worker_id VARCHAR(128) NOT NULL, 
	token INTEGER NOT NULL, 
	expires DOUBLE NOT NULL, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE
);
INSERT INTO hpo_lease VALUES(2,'worker',1,1795262435.0060095787);
CREATE TABLE hpo_worker (
	worker_id VARCHAR(128) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	device VARCHAR(64) NOT NULL, 
	last_seen DOUBLE NOT NULL, 
	trial_id INTEGER, 
	PRIMARY KEY (worker_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE SET NULL
);
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE INDEX hpo_trial_by_study ON hpo_trial (study_id);
CREATE INDEX hpo_lease_by_worker ON hpo_lease (worker_id);
CREATE VIEW hpo_studies AS
SELECT s.study_id, s.study_name AS study, lower(CAST(o.direction AS TEXT)) AS direction, h.metric,
    h.status, h.priority, (SELECT count(*) FROM trials AS t WHERE t.study_id = s.study_id) AS trials,
    (SELECT count(*) FROM trials AS t WHERE t.study_id = s.study_id AND t.state = 'RUNNING') AS running,
    (SELECT count(*) FROM trials AS t WHERE t.study_id = s.study_id AND t.state = 'COMPLETE') AS complete,
    (SELECT count(*) FROM trials AS t WHERE t.study_id = s.study_id AND t.state = 'PRUNED') AS pruned,
    (SELECT count(*) FROM trials AS t WHERE t.study_id = s.study_id AND t.state = 'FAIL') AS failed,
    strftime('%Y-%m-%dT%H:%M:%fZ', h.created, 'unixepoch') AS created_at, h.code_version
FROM studies AS s
LEFT JOIN study_directions AS o ON o.study_id = s.study_id AND o.objective = 0
LEFT JOIN hpo_study AS h ON h.study_id = s.study_id;
CREATE VIEW hpo_trials AS
SELECT s.study_name AS study, t.number, CAST(t.state AS TEXT) AS state, h.outcome, h.reason,
    CASE CAST(v.value_type AS TEXT)
        WHEN 'INF_POS' THEN 9e999 WHEN 'INF_NEG' THEN -9e999 ELSE v.value END AS value,
    h.objective_sem AS sem, h.posterior_mean,
    (
        SELECT json_group_object(p.param_name, json(CASE
            WHEN p.distribution_json LIKE '{"name": "Categorical%' THEN
                CASE WHEN NOT json_valid(p.distribution_json) THEN 'null'
                ELSE p.distribution_json -> ('$.attributes.choices[' || CAST(p.param_value AS INTEGER) || ']') END
            WHEN p.distribution_json LIKE '{"name": "Int%' THEN CAST(CAST(p.param_value AS INTEGER) AS TEXT)
            WHEN CAST(printf('%!.15g', p.param_value) AS REAL) = p.param_value THEN printf('%!.15g', p.param_value)
            WHEN CAST(printf('%!.16g', p.param_value) AS REAL) = p.param_value THEN printf('%!.16g', p.param_value)
            ELSE printf('%!.17g', p.param_value) END))
        FROM (SELECT * FROM trial_params WHERE trial_id = t.trial_id ORDER BY param_id) AS p) AS parameters,
    strftime('%Y-%m-%dT%H:%M:%fZ', t.datetime_start) AS started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', t.datetime_complete) AS completed_at,
    h.seconds, h.meta_iterations, h.peak_memory_bytes, h.host, h.device, h.attempts, h.seed, h.checkpoint_uri,
    t.study_id, t.trial_id
FROM trials AS t
JOIN studies AS s ON s.study_id = t.study_id
LEFT JOIN trial_values AS v ON v.trial_id = t.trial_id AND v.objective = 0
LEFT JOIN hpo_trial AS h ON h.trial_id = t.trial_id;
CREATE VIEW hpo_best_configs AS
SELECT s.study_name AS study, r.rank, r.number, r.value, r.sem, r.posterior_mean,
    (
        SELECT json_group_object(p.param_name, json(CASE
            WHEN p.distribution_json LIKE '{"name": "Categorical%' THEN
                CASE WHEN NOT json_valid(p.distribution_json) THEN 'null'
                ELSE p.distribution_json -> ('$.attributes.choices[' || CAST(p.param_value AS INTEGER) || ']') END
            WHEN p.distribution_json LIKE '{"name": "Int%' THEN CAST(CAST(p.param_value AS INTEGER) AS TEXT)
            WHEN CAST(printf('%!.15g', p.param_value) AS REAL) = p.param_value THEN printf('%!.15g', p.param_value)
            WHEN CAST(printf('%!.16g', p.param_value) AS REAL) = p.param_value THEN printf('%!.16g', p.param_value)
            ELSE printf('%!.17g', p.param_value) END))
        FROM (SELECT * FROM trial_params WHERE trial_id = r.trial_id ORDER BY param_id) AS p) AS parameters,
    r.seconds, r.study_id, r.trial_id
FROM (
    SELECT c.*, row_number() OVER (PARTITION BY c.study_id ORDER BY
        coalesce(c.posterior_mean, c.value) IS NULL,
        CASE WHEN c.direction = 'MAXIMIZE' THEN -coalesce(c.posterior_mean, c.value)
             ELSE coalesce(c.posterior_mean, c.value) END,
        c.number) AS rank
    FROM (
        SELECT t.study_id, t.trial_id, t.number, CAST(o.direction AS TEXT) AS direction,
            CASE CAST(v.value_type AS TEXT)
        WHEN 'INF_POS' THEN 9e999 WHEN 'INF_NEG' THEN -9e999 ELSE v.value END AS value,
            h.objective_sem AS sem, h.posterior_mean, h.seconds
        FROM trials AS t
        JOIN study_directions AS o ON o.study_id = t.study_id AND o.objective = 0
        LEFT JOIN trial_values AS v ON v.trial_id = t.trial_id AND v.objective = 0
        LEFT JOIN hpo_trial AS h ON h.trial_id = t.trial_id
        WHERE t.state = 'COMPLETE'
    ) AS c
) AS r
JOIN studies AS s ON s.study_id = r.study_id;
CREATE VIEW hpo_curves AS
SELECT s.study_name AS study, t.number, i.step AS meta_iteration,
    CASE CAST(i.intermediate_value_type AS TEXT)
        WHEN 'INF_POS' THEN 9e999 WHEN 'INF_NEG' THEN -9e999 ELSE i.intermediate_value END AS value,
    r.sem, r.seconds, t.study_id, t.trial_id
FROM trial_intermediate_values AS i
JOIN trials AS t ON t.trial_id = i.trial_id
JOIN studies AS s ON s.study_id = t.study_id
LEFT JOIN hpo_report AS r ON r.trial_id = i.trial_id AND r.meta_iteration = i.step;
CREATE VIEW hpo_adaptation_curves AS
SELECT s.study_name AS study, t.number, a.split, a.inner_step, a.loss, a.loss_sem,
    a.accuracy, a.accuracy_sem, a.tasks, t.study_id, t.trial_id
FROM hpo_adaptation AS a
JOIN trials AS t ON t.trial_id = a.trial_id
JOIN studies AS s ON s.study_id = t.study_id;
CREATE VIEW hpo_workers AS
SELECT w.worker_id, w.host, w.pid, w.device, s.study_name AS study, t.number,
    strftime('%Y-%m-%dT%H:%M:%fZ', w.last_seen, 'unixepoch') AS last_seen_at, ((julianday('now') - 2440587.5) * 86400.0) - w.last_seen AS silent_seconds
FROM hpo_worker AS w
LEFT JOIN trials AS t ON t.trial_id = w.trial_id
LEFT JOIN studies AS s ON s.study_id = t.study_id;
CREATE TRIGGER hpo_after_study_delete AFTER DELETE ON studies BEGIN DELETE FROM hpo_study WHERE study_id = OLD.study_id; END;
CREATE TRIGGER hpo_after_trial_delete AFTER DELETE ON trials BEGIN DELETE FROM hpo_trial WHERE trial_id = OLD.trial_id; DELETE FROM hpo_report WHERE trial_id = OLD.trial_id; DELETE FROM hpo_adaptation WHERE trial_id = OLD.trial_id; DELETE FROM hpo_lease WHERE trial_id = OLD.trial_id; UPDATE hpo_worker SET trial_id = NULL WHERE trial_id = OLD.trial_id; END;
COMMIT;
