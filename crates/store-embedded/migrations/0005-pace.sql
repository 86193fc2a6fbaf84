-- The poll that the next one is counted from, where `polls.poll_pace` is "shared".

ALTER TABLE requests ADD COLUMN counted_from INTEGER;
