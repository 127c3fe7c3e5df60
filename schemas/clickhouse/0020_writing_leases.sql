-- Safe while workers run, but erase only when `voxpop digests` and `voxpop brief` are of this version, too: older ones claim no days.
-- What is written about texts is refused when it comes later than its writer has looked whether they are there.
ALTER TABLE digests ADD COLUMN IF NOT EXISTS lease_until DateTime64(3, 'UTC') DEFAULT toDateTime64('2100-01-01 00:00:00', 3, 'UTC') CODEC(ZSTD(1));
ALTER TABLE digests ADD CONSTRAINT IF NOT EXISTS inserted_under_lease CHECK now64(3) < lease_until;
ALTER TABLE briefs ADD COLUMN IF NOT EXISTS lease_until DateTime64(3, 'UTC') DEFAULT toDateTime64('2100-01-01 00:00:00', 3, 'UTC') CODEC(ZSTD(1));
ALTER TABLE briefs ADD CONSTRAINT IF NOT EXISTS inserted_under_lease CHECK now64(3) < lease_until;
