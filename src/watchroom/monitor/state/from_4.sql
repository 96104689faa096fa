-- From format 4: the names of Alertmanager and of the pages in place of our own.
ALTER TABLE told RENAME TO notification_log;
ALTER TABLE proof RENAME COLUMN more TO next_step;
ALTER TABLE proof RENAME COLUMN proves TO fingerprint;
UPDATE incident_event SET kind = CASE kind WHEN 'told' THEN 'notified'
    WHEN 'called' THEN 'paged' WHEN 'forgotten' THEN 'paged_again' ELSE 'no_data' END
    WHERE kind IN ('told', 'called', 'forgotten', 'unseen');
UPDATE incident SET body = renamed_from_4(body);
