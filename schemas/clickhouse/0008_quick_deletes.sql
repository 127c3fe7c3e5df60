-- A replaced row is deleted by a patch part (a lightweight update), which is written at once and hides the row from then on.
-- The older way, a mutation, waits for a background thread: seconds for each, whatever its size.
ALTER TABLE insights MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE aspect_mentions MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
