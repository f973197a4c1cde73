-- Indexes for listings: by time,
CREATE INDEX toji_events_time ON events (time);
CREATE INDEX toji_task_create ON task (create_time);
CREATE INDEX toji_task_start ON task (start_time);

-- and of the few rows among many that are asked for all the time.
CREATE INDEX toji_task_unfinished ON task (id) WHERE state IN (0, 1, 4);
CREATE INDEX toji_repo_kept ON repo (id) WHERE state <> 3;
