-- Whose content a file has is asked by its sum.
CREATE INDEX toji_rpmsigs_sighash ON rpmsigs (sighash);
CREATE INDEX toji_archiveinfo_checksum ON archiveinfo (checksum);

--:postgres
-- What lies below a directory is a range of paths, compared by bytes.
CREATE INDEX toji_file_below ON toji_file (path COLLATE "C");
CREATE INDEX toji_file_sum_below ON toji_file_sum (path COLLATE "C");
CREATE INDEX toji_damage_below ON toji_damage (path COLLATE "C");
--:end
