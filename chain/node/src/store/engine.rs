//! RocksDB opened with this store's column families.

use std::path::Path;

use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, FlushOptions, WriteBatch, WriteOptions, DB};

use super::{
    error::{fatal, StoreError},
    layout::{self, FAMILIES},
    options::Options,
};

pub struct Engine {
    db: DB,
    writable: bool,
}

impl Engine {
    /// Opens for writing; the directory is made where it is missing.
    pub fn open(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let (db_options, families) = describe(options);
        let db = DB::open_cf_descriptors(&db_options, path, families)?;
        let engine = Self { db, writable: true };
        engine.check_format()?;
        Ok(engine)
    }

    /// Opens for reading what another process may have open for writing.
    pub fn open_read_only(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let (mut db_options, families) = describe(options);
        db_options.create_if_missing(false);
        let db = DB::open_cf_descriptors_read_only(&db_options, path, families, false)?;
        let engine = Self { db, writable: false };
        engine.check_format()?;
        Ok(engine)
    }

    pub fn db(&self) -> &DB {
        &self.db
    }

    /// A column family of [`layout`]; all were opened or made with the database.
    pub fn family(&self, name: &str) -> &ColumnFamily {
        self.db
            .cf_handle(name)
            .unwrap_or_else(|| fatal("column family lost", &format_args!("no family {name}")))
    }

    /// Writes a batch and waits until the disk has it.
    pub fn write_synced(&self, batch: WriteBatch) -> Result<(), StoreError> {
        if !self.writable {
            return Err(StoreError::ReadOnly);
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        Ok(self.db.write_opt(batch, &options)?)
    }

    /// Moves what only the log holds into files, so that the next start need not read it again.
    pub fn flush(&self) -> Result<(), StoreError> {
        let families: Vec<_> = FAMILIES.iter().map(|name| self.family(name)).collect();
        Ok(self.db.flush_cfs_opt(&families, &FlushOptions::default())?)
    }

    /// Rewrites the files without what was removed.
    pub fn compact(&self) {
        for name in FAMILIES {
            self.db.compact_range_cf(self.family(name), None::<&[u8]>, None::<&[u8]>);
        }
    }

    /// Bytes of the files that hold the column families; logs are not counted.
    pub fn disk_bytes(&self) -> u64 {
        let size = |name| {
            let property = rocksdb::properties::LIVE_SST_FILES_SIZE;
            self.db.property_int_value_cf(self.family(name), property).ok().flatten()
        };
        FAMILIES.into_iter().filter_map(size).sum()
    }

    /// Marks a new database with the layout's number, refuses another layout's.
    fn check_format(&self) -> Result<(), StoreError> {
        let meta = self.family(layout::META);
        match self.db.get_cf(meta, layout::META_FORMAT)? {
            None if self.writable => {
                let mut batch = WriteBatch::default();
                batch.put_cf(meta, layout::META_FORMAT, layout::FORMAT.to_be_bytes());
                self.write_synced(batch)
            }
            None => Err(StoreError::Corrupt("it names no format".to_owned())),
            Some(bytes) => {
                let found = bytes.as_slice().try_into().map(u64::from_be_bytes).unwrap_or(0);
                if found == layout::FORMAT {
                    return Ok(());
                }
                Err(StoreError::Format { found, supported: layout::FORMAT })
            }
        }
    }
}

fn describe(options: &Options) -> (rocksdb::Options, Vec<ColumnFamilyDescriptor>) {
    let (db, family) = options.engine();
    let families =
        FAMILIES.iter().map(|name| ColumnFamilyDescriptor::new(*name, family.clone())).collect();
    (db, families)
}
