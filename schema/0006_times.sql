-- Listings by time.
CREATE INDEX toji_events_time ON events (time);
CREATE INDEX toji_task_create ON task (create_time);
CREATE INDEX toji_task_start ON task (start_time);
