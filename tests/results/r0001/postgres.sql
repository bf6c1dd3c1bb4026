-- A database of revision 0001, from pg_dump --inserts: one trial that ended, one that runs.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE TYPE public.studydirection AS ENUM (
    'NOT_SET',
    'MINIMIZE',
    'MAXIMIZE'
);
CREATE TYPE public.trialintermediatevaluetype AS ENUM (
    'FINITE',
    'INF_POS',
    'INF_NEG',
    'NAN'
);
CREATE TYPE public.trialstate AS ENUM (
    'RUNNING',
    'COMPLETE',
    'PRUNED',
    'FAIL',
    'WAITING'
);
CREATE TYPE public.trialvaluetype AS ENUM (
    'FINITE',
    'INF_POS',
    'INF_NEG'
);
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.hpo_adaptation (
    trial_id integer NOT NULL,
    split character varying(16) NOT NULL,
    inner_step integer NOT NULL,
    loss double precision,
    loss_sem double precision,
    accuracy double precision,
    accuracy_sem double precision,
    tasks integer NOT NULL
);
CREATE TABLE public.studies (
    study_id integer NOT NULL,
    study_name character varying(512) NOT NULL
);
CREATE TABLE public.trials (
    trial_id integer NOT NULL,
    number integer,
    study_id integer,
    state public.trialstate NOT NULL,
    datetime_start timestamp without time zone,
    datetime_complete timestamp without time zone
);
CREATE VIEW public.hpo_adaptation_curves AS
 SELECT s.study_name AS study,
    t.number,
    a.split,
    a.inner_step,
    a.loss,
    a.loss_sem,
    a.accuracy,
    a.accuracy_sem,
    a.tasks,
    t.study_id,
    t.trial_id
   FROM ((public.hpo_adaptation a
     JOIN public.trials t ON ((t.trial_id = a.trial_id)))
     JOIN public.studies s ON ((s.study_id = t.study_id)));
CREATE TABLE public.hpo_alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.hpo_trial (
    trial_id integer NOT NULL,
    study_id integer NOT NULL,
    config jsonb,
    seed bigint,
    host character varying(255),
    device character varying(64),
    attempts integer NOT NULL,
    outcome character varying(16),
    reason text,
    objective_mean double precision,
    objective_sem double precision,
    posterior_mean double precision,
    meta_iterations integer,
    seconds double precision,
    peak_memory_bytes bigint,
    checkpoint_uri text,
    token integer
);
CREATE TABLE public.study_directions (
    study_direction_id integer NOT NULL,
    direction public.studydirection NOT NULL,
    study_id integer NOT NULL,
    objective integer NOT NULL
);
CREATE TABLE public.trial_params (
    param_id integer NOT NULL,
    trial_id integer,
    param_name character varying(512),
    param_value double precision,
    distribution_json text
);
CREATE TABLE public.trial_values (
    trial_value_id integer NOT NULL,
    trial_id integer NOT NULL,
    objective integer NOT NULL,
    value double precision,
    value_type public.trialvaluetype NOT NULL
);
CREATE VIEW public.hpo_best_configs AS
 SELECT s.study_name AS study,
    r.rank,
    r.number,
    r.value,
    r.sem,
    r.posterior_mean,
    ( SELECT COALESCE(jsonb_object_agg(p.param_name,
                CASE
                    WHEN starts_with(p.distribution_json, '{"name": "Categorical'::text) THEN
                    CASE
                        WHEN (p.distribution_json ~ '[[ ](NaN|-?Infinity)[],]'::text) THEN 'null'::jsonb
                        ELSE ((p.distribution_json)::jsonb #> ARRAY['attributes'::text, 'choices'::text, (p.param_value)::text])
                    END
                    WHEN starts_with(p.distribution_json, '{"name": "Int'::text) THEN to_jsonb((p.param_value)::bigint)
                    ELSE to_jsonb((((p.param_value)::text)::numeric + 0.0))
                END), '{}'::jsonb) AS "coalesce"
           FROM public.trial_params p
          WHERE (p.trial_id = r.trial_id)) AS parameters,
    r.seconds,
    r.study_id,
    r.trial_id
   FROM (( SELECT c.study_id,
            c.trial_id,
            c.number,
            c.direction,
            c.value,
            c.sem,
            c.posterior_mean,
            c.seconds,
            row_number() OVER (PARTITION BY c.study_id ORDER BY (COALESCE(c.posterior_mean, c.value) IS NULL),
                CASE
                    WHEN (c.direction = 'MAXIMIZE'::text) THEN (- COALESCE(c.posterior_mean, c.value))
                    ELSE COALESCE(c.posterior_mean, c.value)
                END, c.number) AS rank
           FROM ( SELECT t.study_id,
                    t.trial_id,
                    t.number,
                    (o.direction)::text AS direction,
                        CASE (v.value_type)::text
                            WHEN 'INF_POS'::text THEN 'Infinity'::double precision
                            WHEN 'INF_NEG'::text THEN (- 'Infinity'::double precision)
                            ELSE v.value
                        END AS value,
                    h.objective_sem AS sem,
                    h.posterior_mean,
                    h.seconds
                   FROM (((public.trials t
                     JOIN public.study_directions o ON (((o.study_id = t.study_id) AND (o.objective = 0))))
                     LEFT JOIN public.trial_values v ON (((v.trial_id = t.trial_id) AND (v.objective = 0))))
                     LEFT JOIN public.hpo_trial h ON ((h.trial_id = t.trial_id)))
                  WHERE (t.state = 'COMPLETE'::public.trialstate)) c) r
     JOIN public.studies s ON ((s.study_id = r.study_id)));
CREATE TABLE public.hpo_report (
    trial_id integer NOT NULL,
    meta_iteration integer NOT NULL,
    sem double precision,
    seconds double precision NOT NULL
);
CREATE TABLE public.trial_intermediate_values (
    trial_intermediate_value_id integer NOT NULL,
    trial_id integer NOT NULL,
    step integer NOT NULL,
    intermediate_value double precision,
    intermediate_value_type public.trialintermediatevaluetype NOT NULL
);
CREATE VIEW public.hpo_curves AS
 SELECT s.study_name AS study,
    t.number,
    i.step AS meta_iteration,
        CASE (i.intermediate_value_type)::text
            WHEN 'INF_POS'::text THEN 'Infinity'::double precision
            WHEN 'INF_NEG'::text THEN (- 'Infinity'::double precision)
            ELSE i.intermediate_value
        END AS value,
    r.sem,
    r.seconds,
    t.study_id,
    t.trial_id
   FROM (((public.trial_intermediate_values i
     JOIN public.trials t ON ((t.trial_id = i.trial_id)))
     JOIN public.studies s ON ((s.study_id = t.study_id)))
     LEFT JOIN public.hpo_report r ON (((r.trial_id = i.trial_id) AND (r.meta_iteration = i.step))));
CREATE TABLE public.hpo_lease (
    trial_id integer NOT NULL,
    worker_id character varying(128) NOT NULL,
    token integer NOT NULL,
    expires double precision NOT NULL
);
CREATE TABLE public.hpo_study (
    study_id integer NOT NULL,
    metric character varying(64) NOT NULL,
    config jsonb NOT NULL,
    config_hash character varying(64) NOT NULL,
    status character varying(16) NOT NULL,
    priority integer NOT NULL,
    code_version character varying(64) NOT NULL,
    task_descriptor jsonb,
    created double precision NOT NULL,
    ask_owner character varying(128),
    ask_expires double precision,
    ask_floor integer NOT NULL
);
CREATE VIEW public.hpo_studies AS
 SELECT s.study_id,
    s.study_name AS study,
    lower((o.direction)::text) AS direction,
    h.metric,
    h.status,
    h.priority,
    ( SELECT count(*) AS count
           FROM public.trials t
          WHERE (t.study_id = s.study_id)) AS trials,
    ( SELECT count(*) AS count
           FROM public.trials t
          WHERE ((t.study_id = s.study_id) AND (t.state = 'RUNNING'::public.trialstate))) AS running,
    ( SELECT count(*) AS count
           FROM public.trials t
          WHERE ((t.study_id = s.study_id) AND (t.state = 'COMPLETE'::public.trialstate))) AS complete,
    ( SELECT count(*) AS count
           FROM public.trials t
          WHERE ((t.study_id = s.study_id) AND (t.state = 'PRUNED'::public.trialstate))) AS pruned,
    ( SELECT count(*) AS count
           FROM public.trials t
          WHERE ((t.study_id = s.study_id) AND (t.state = 'FAIL'::public.trialstate))) AS failed,
    to_char((to_timestamp(h.created) AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'::text) AS created_at,
    h.code_version
   FROM ((public.studies s
     LEFT JOIN public.study_directions o ON (((o.study_id = s.study_id) AND (o.objective = 0))))
     LEFT JOIN public.hpo_study h ON ((h.study_id = s.study_id)));
CREATE VIEW public.hpo_trials AS
 SELECT s.study_name AS study,
    t.number,
    (t.state)::text AS state,
    h.outcome,
    h.reason,
        CASE (v.value_type)::text
            WHEN 'INF_POS'::text THEN 'Infinity'::double precision
            WHEN 'INF_NEG'::text THEN (- 'Infinity'::double precision)
            ELSE v.value
        END AS value,
    h.objective_sem AS sem,
    h.posterior_mean,
    ( SELECT COALESCE(jsonb_object_agg(p.param_name,
                CASE
                    WHEN starts_with(p.distribution_json, '{"name": "Categorical'::text) THEN
                    CASE
                        WHEN (p.distribution_json ~ '[[ ](NaN|-?Infinity)[],]'::text) THEN 'null'::jsonb
                        ELSE ((p.distribution_json)::jsonb #> ARRAY['attributes'::text, 'choices'::text, (p.param_value)::text])
                    END
                    WHEN starts_with(p.distribution_json, '{"name": "Int'::text) THEN to_jsonb((p.param_value)::bigint)
                    ELSE to_jsonb((((p.param_value)::text)::numeric + 0.0))
                END), '{}'::jsonb) AS "coalesce"
           FROM public.trial_params p
          WHERE (p.trial_id = t.trial_id)) AS parameters,
    to_char(t.datetime_start, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'::text) AS started_at,
    to_char(t.datetime_complete, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'::text) AS completed_at,
    h.seconds,
    h.meta_iterations,
    h.peak_memory_bytes,
    h.host,
    h.device,
    h.attempts,
    h.seed,
    h.checkpoint_uri,
    t.study_id,
    t.trial_id
   FROM (((public.trials t
     JOIN public.studies s ON ((s.study_id = t.study_id)))
     LEFT JOIN public.trial_values v ON (((v.trial_id = t.trial_id) AND (v.objective = 0))))
     LEFT JOIN public.hpo_trial h ON ((h.trial_id = t.trial_id)));
CREATE TABLE public.hpo_worker (
    worker_id character varying(128) NOT NULL,
    host character varying(255) NOT NULL,
    pid integer NOT NULL,
    device character varying(64) NOT NULL,
    last_seen double precision NOT NULL,
    trial_id integer
);
CREATE VIEW public.hpo_workers AS
 SELECT w.worker_id,
    w.host,
    w.pid,
    w.device,
    s.study_name AS study,
    t.number,
    to_char((to_timestamp(w.last_seen) AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'::text) AS last_seen_at,
    ((EXTRACT(epoch FROM clock_timestamp()))::double precision - w.last_seen) AS silent_seconds
   FROM ((public.hpo_worker w
     LEFT JOIN public.trials t ON ((t.trial_id = w.trial_id)))
     LEFT JOIN public.studies s ON ((s.study_id = t.study_id)));
CREATE SEQUENCE public.studies_study_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.studies_study_id_seq OWNED BY public.studies.study_id;
CREATE SEQUENCE public.study_directions_study_direction_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.study_directions_study_direction_id_seq OWNED BY public.study_directions.study_direction_id;
CREATE TABLE public.study_system_attributes (
    study_system_attribute_id integer NOT NULL,
    study_id integer,
    key character varying(512),
    value_json text
);
CREATE SEQUENCE public.study_system_attributes_study_system_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.study_system_attributes_study_system_attribute_id_seq OWNED BY public.study_system_attributes.study_system_attribute_id;
CREATE TABLE public.study_user_attributes (
    study_user_attribute_id integer NOT NULL,
    study_id integer,
    key character varying(512),
    value_json text
);
CREATE SEQUENCE public.study_user_attributes_study_user_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.study_user_attributes_study_user_attribute_id_seq OWNED BY public.study_user_attributes.study_user_attribute_id;
CREATE TABLE public.trial_heartbeats (
    trial_heartbeat_id integer NOT NULL,
    trial_id integer NOT NULL,
    heartbeat timestamp without time zone NOT NULL
);
CREATE SEQUENCE public.trial_heartbeats_trial_heartbeat_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_heartbeats_trial_heartbeat_id_seq OWNED BY public.trial_heartbeats.trial_heartbeat_id;
CREATE SEQUENCE public.trial_intermediate_values_trial_intermediate_value_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_intermediate_values_trial_intermediate_value_id_seq OWNED BY public.trial_intermediate_values.trial_intermediate_value_id;
CREATE SEQUENCE public.trial_params_param_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_params_param_id_seq OWNED BY public.trial_params.param_id;
CREATE TABLE public.trial_system_attributes (
    trial_system_attribute_id integer NOT NULL,
    trial_id integer,
    key character varying(512),
    value_json text
);
CREATE SEQUENCE public.trial_system_attributes_trial_system_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_system_attributes_trial_system_attribute_id_seq OWNED BY public.trial_system_attributes.trial_system_attribute_id;
CREATE TABLE public.trial_user_attributes (
    trial_user_attribute_id integer NOT NULL,
    trial_id integer,
    key character varying(512),
    value_json text
);
CREATE SEQUENCE public.trial_user_attributes_trial_user_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_user_attributes_trial_user_attribute_id_seq OWNED BY public.trial_user_attributes.trial_user_attribute_id;
CREATE SEQUENCE public.trial_values_trial_value_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trial_values_trial_value_id_seq OWNED BY public.trial_values.trial_value_id;
CREATE SEQUENCE public.trials_trial_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.trials_trial_id_seq OWNED BY public.trials.trial_id;
CREATE TABLE public.version_info (
    version_info_id integer NOT NULL,
    schema_version integer,
    library_version character varying(256),
    CONSTRAINT version_info_version_info_id_check CHECK ((version_info_id = 1))
);
ALTER TABLE ONLY public.studies ALTER COLUMN study_id SET DEFAULT nextval('public.studies_study_id_seq'::regclass);
ALTER TABLE ONLY public.study_directions ALTER COLUMN study_direction_id SET DEFAULT nextval('public.study_directions_study_direction_id_seq'::regclass);
ALTER TABLE ONLY public.study_system_attributes ALTER COLUMN study_system_attribute_id SET DEFAULT nextval('public.study_system_attributes_study_system_attribute_id_seq'::regclass);
ALTER TABLE ONLY public.study_user_attributes ALTER COLUMN study_user_attribute_id SET DEFAULT nextval('public.study_user_attributes_study_user_attribute_id_seq'::regclass);
ALTER TABLE ONLY public.trial_heartbeats ALTER COLUMN trial_heartbeat_id SET DEFAULT nextval('public.trial_heartbeats_trial_heartbeat_id_seq'::regclass);
ALTER TABLE ONLY public.trial_intermediate_values ALTER COLUMN trial_intermediate_value_id SET DEFAULT nextval('public.trial_intermediate_values_trial_intermediate_value_id_seq'::regclass);
ALTER TABLE ONLY public.trial_params ALTER COLUMN param_id SET DEFAULT nextval('public.trial_params_param_id_seq'::regclass);
ALTER TABLE ONLY public.trial_system_attributes ALTER COLUMN trial_system_attribute_id SET DEFAULT nextval('public.trial_system_attributes_trial_system_attribute_id_seq'::regclass);
ALTER TABLE ONLY public.trial_user_attributes ALTER COLUMN trial_user_attribute_id SET DEFAULT nextval('public.trial_user_attributes_trial_user_attribute_id_seq'::regclass);
ALTER TABLE ONLY public.trial_values ALTER COLUMN trial_value_id SET DEFAULT nextval('public.trial_values_trial_value_id_seq'::regclass);
ALTER TABLE ONLY public.trials ALTER COLUMN trial_id SET DEFAULT nextval('public.trials_trial_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('v3.2.0.a');
INSERT INTO public.hpo_adaptation VALUES (1, 'validation', 0, 1.6, 0.02, 0.2, 0.01, 200);
INSERT INTO public.hpo_adaptation VALUES (1, 'validation', 1, 0.5, 0.02, NULL, NULL, 200);
INSERT INTO public.hpo_alembic_version VALUES ('0001');
INSERT INTO public.hpo_lease VALUES (2, 'worker', 1, 1795262435.375391);
INSERT INTO public.hpo_report VALUES (1, 50, 0.05, 5);
INSERT INTO public.hpo_study VALUES (1, 'query_loss', '{"model": {"cell": "lstm", "hidden_size": 64}, "training": {"outer_lr": 0.002}}', 'h1', 'running', 0, '0.1', NULL, 1795262375.311948, NULL, NULL, 0);
INSERT INTO public.hpo_trial VALUES (1, 1, '{"model": {"cell": "lstm", "hidden_size": 64}, "training": {"outer_lr": 0.002}}', 7, 'host', 'cpu', 1, 'ok', NULL, 0.5, 0.02, 0.55, 300, 12.5, 5000000000, 'file:///tmp/c', 1);
INSERT INTO public.hpo_trial VALUES (2, 1, '{"model": {"cell": "lstm", "hidden_size": 64}, "training": {"outer_lr": 0.002}}', 7, 'host', 'cpu', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.studies VALUES (1, 'lab');
INSERT INTO public.study_directions VALUES (1, 'MINIMIZE', 1, 0);
INSERT INTO public.study_system_attributes VALUES (1, 1, 'study:metric_names', '["query_loss"]');
INSERT INTO public.trial_intermediate_values VALUES (1, 1, 50, 0.9, 'FINITE');
INSERT INTO public.trial_params VALUES (1, 1, 'lr', 0.1, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO public.trial_params VALUES (2, 2, 'lr', 0.1, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO public.trial_user_attributes VALUES (1, 1, 'outcome', '"ok"');
INSERT INTO public.trial_user_attributes VALUES (2, 1, 'standard_error', '0.02');
INSERT INTO public.trial_values VALUES (1, 1, 0, 0.5, 'FINITE');
INSERT INTO public.trials VALUES (1, 0, 1, 'COMPLETE', '2026-11-21 11:59:35.318455', '2026-11-21 11:59:35.36177');
INSERT INTO public.trials VALUES (2, 1, 1, 'RUNNING', '2026-11-21 11:59:35.368353', NULL);
INSERT INTO public.version_info VALUES (1, 12, '5.0.0');
SELECT pg_catalog.setval('public.studies_study_id_seq', 1, true);
SELECT pg_catalog.setval('public.study_directions_study_direction_id_seq', 1, true);
SELECT pg_catalog.setval('public.study_system_attributes_study_system_attribute_id_seq', 1, true);
SELECT pg_catalog.setval('public.study_user_attributes_study_user_attribute_id_seq', 1, false);
SELECT pg_catalog.setval('public.trial_heartbeats_trial_heartbeat_id_seq', 1, false);
SELECT pg_catalog.setval('public.trial_intermediate_values_trial_intermediate_value_id_seq', 1, true);
SELECT pg_catalog.setval('public.trial_params_param_id_seq', 2, true);
SELECT pg_catalog.setval('public.trial_system_attributes_trial_system_attribute_id_seq', 1, false);
SELECT pg_catalog.setval('public.trial_user_attributes_trial_user_attribute_id_seq', 2, true);
SELECT pg_catalog.setval('public.trial_values_trial_value_id_seq', 1, true);
SELECT pg_catalog.setval('public.trials_trial_id_seq', 2, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.hpo_adaptation
    ADD CONSTRAINT hpo_adaptation_pkey PRIMARY KEY (trial_id, split, inner_step);
ALTER TABLE ONLY public.hpo_alembic_version
    ADD CONSTRAINT hpo_alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.hpo_lease
    ADD CONSTRAINT hpo_lease_pkey PRIMARY KEY (trial_id);
ALTER TABLE ONLY public.hpo_report
    ADD CONSTRAINT hpo_report_pkey PRIMARY KEY (trial_id, meta_iteration);
ALTER TABLE ONLY public.hpo_study
    ADD CONSTRAINT hpo_study_pkey PRIMARY KEY (study_id);
ALTER TABLE ONLY public.hpo_trial
    ADD CONSTRAINT hpo_trial_pkey PRIMARY KEY (trial_id);
ALTER TABLE ONLY public.hpo_worker
    ADD CONSTRAINT hpo_worker_pkey PRIMARY KEY (worker_id);
ALTER TABLE ONLY public.studies
    ADD CONSTRAINT studies_pkey PRIMARY KEY (study_id);
ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_pkey PRIMARY KEY (study_direction_id);
ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_study_id_objective_key UNIQUE (study_id, objective);
ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_pkey PRIMARY KEY (study_system_attribute_id);
ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_study_id_key_key UNIQUE (study_id, key);
ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_pkey PRIMARY KEY (study_user_attribute_id);
ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_study_id_key_key UNIQUE (study_id, key);
ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_pkey PRIMARY KEY (trial_heartbeat_id);
ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_trial_id_key UNIQUE (trial_id);
ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_pkey PRIMARY KEY (trial_intermediate_value_id);
ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_trial_id_step_key UNIQUE (trial_id, step);
ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_pkey PRIMARY KEY (param_id);
ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_trial_id_param_name_key UNIQUE (trial_id, param_name);
ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_pkey PRIMARY KEY (trial_system_attribute_id);
ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_trial_id_key_key UNIQUE (trial_id, key);
ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_pkey PRIMARY KEY (trial_user_attribute_id);
ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_trial_id_key_key UNIQUE (trial_id, key);
ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_pkey PRIMARY KEY (trial_value_id);
ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_trial_id_objective_key UNIQUE (trial_id, objective);
ALTER TABLE ONLY public.trials
    ADD CONSTRAINT trials_pkey PRIMARY KEY (trial_id);
ALTER TABLE ONLY public.version_info
    ADD CONSTRAINT version_info_pkey PRIMARY KEY (version_info_id);
CREATE INDEX hpo_lease_by_worker ON public.hpo_lease USING btree (worker_id);
CREATE INDEX hpo_trial_by_study ON public.hpo_trial USING btree (study_id);
CREATE UNIQUE INDEX ix_studies_study_name ON public.studies USING btree (study_name);
CREATE INDEX ix_trials_study_id ON public.trials USING btree (study_id);
ALTER TABLE ONLY public.hpo_adaptation
    ADD CONSTRAINT hpo_adaptation_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.hpo_lease
    ADD CONSTRAINT hpo_lease_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.hpo_report
    ADD CONSTRAINT hpo_report_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.hpo_study
    ADD CONSTRAINT hpo_study_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.hpo_trial
    ADD CONSTRAINT hpo_trial_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.hpo_trial
    ADD CONSTRAINT hpo_trial_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.hpo_worker
    ADD CONSTRAINT hpo_worker_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id) ON DELETE SET NULL;
ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);
ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);
ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);
ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);
ALTER TABLE ONLY public.trials
    ADD CONSTRAINT trials_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);
