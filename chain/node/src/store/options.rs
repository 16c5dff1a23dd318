//! How much memory and history the store may use.

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, LogLevel};

/// Settings of the database; none of them changes what is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bytes of the block cache, which all column families share.
    pub block_cache_bytes: usize,
    /// Bytes of a write buffer before it is flushed; there are a few for each column family.
    pub write_buffer_bytes: usize,
    /// How many of the last heights keep their history (proofs, exports); 0 keeps all.
    pub retain_heights: u64,
    /// Most records that one commit prunes beyond what its own block made stale.
    pub prune_batch: usize,
    /// Records whose leaves a restore puts into the tree at once; they stand in memory.
    pub restore_batch: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            block_cache_bytes: 512 << 20,
            write_buffer_bytes: 64 << 20,
            retain_heights: 10_000,
            prune_batch: 2_000,
            restore_batch: 200_000,
        }
    }
}

impl Options {
    /// Small settings for several nodes on one machine.
    pub fn local() -> Self {
        Self { block_cache_bytes: 32 << 20, write_buffer_bytes: 8 << 20, ..Self::default() }
    }

    /// Options of the database and of each column family.
    pub(super) fn engine(&self) -> (rocksdb::Options, rocksdb::Options) {
        let mut db = rocksdb::Options::default();
        db.create_if_missing(true);
        db.create_missing_column_families(true);
        db.set_log_level(LogLevel::Warn);
        db.set_keep_log_file_num(4);
        // All files stay open, so that a reader of another process keeps what it opened.
        db.set_max_open_files(-1);
        // All of it is read again at the next start: half a gibibyte takes four seconds.
        db.set_max_total_wal_size((self.write_buffer_bytes as u64).saturating_mul(2));
        db.set_bytes_per_sync(1 << 20);

        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&Cache::new_lru_cache(self.block_cache_bytes));
        blocks.set_bloom_filter(10.0, false);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);

        let mut family = rocksdb::Options::default();
        family.set_block_based_table_factory(&blocks);
        family.set_write_buffer_size(self.write_buffer_bytes);
        family.set_level_compaction_dynamic_level_bytes(true);
        family.set_compression_type(DBCompressionType::Lz4);
        family.set_bottommost_compression_type(DBCompressionType::Zstd);
        (db, family)
    }
}
