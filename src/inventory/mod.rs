//! What is on the systems, as typed tables. Rules, baselines, views and exports all read these
//! columns; nothing after this layer sees a disk.
mod join;
mod log_window;
mod packaged;
pub mod portable;
pub mod portable_gap;
pub mod portable_text;
mod record;
mod scene;
mod sort;
mod tables;
mod tables_disk;
mod tables_made;
mod tables_matches;
mod tables_net;
mod tables_past;
mod tables_starts;
mod value;
mod wire;

pub use join::{is_initramfs, join};
pub use log_window::{CARD_NOT_SEEN, LOG_EXTENT, OTHER_MACHINE, join_logs, log_spans, log_window};
pub use packaged::{PackageManifest, PackagedFile};
pub use record::{Column, Record, Table};
pub use scene::{
    BytesRead, FilesystemInfo, ImageInfo, Initramfs, LayerInfo, LayeringInfo, LogWindow, Mount, OsInfo, Scene,
    SecondReading, SlotInfo, StoredHash, SystemInfo, VolumeInfo, VolumeState,
};
pub use tables::*;
pub use tables_disk::*;
pub use tables_made::*;
pub use tables_matches::*;
pub use tables_net::*;
pub use tables_past::*;
pub use tables_starts::*;
pub use value::{Cell, CellRef, Kind, Mode, Value};

use crate::base::Evidence;

/// A table seen through its columns: for what treats all tables alike.
pub trait AnyTable: Sync {
    fn table(&self) -> &'static Table;
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn system(&self, row: usize) -> Option<u32>;
    fn value(&self, row: usize, column: usize) -> Value;
    /// The same, borrowed.
    fn cell(&self, row: usize, column: usize) -> CellRef<'_>;
    /// All cells of a row, in column order; none beyond the last row.
    fn cells<'a>(&'a self, row: usize, each: &mut dyn FnMut(CellRef<'a>));
    fn evidence(&self, row: usize) -> Option<&Evidence>;
    /// Cell by column name; `Null` where there is none.
    fn get(&self, row: usize, column: &str) -> Value {
        self.table().column(column).map_or(Value::Null, |c| self.value(row, c))
    }
}

impl<R: Record> AnyTable for Vec<R> {
    fn table(&self) -> &'static Table {
        const { &R::TABLE }
    }
    fn len(&self) -> usize {
        self.as_slice().len()
    }
    fn system(&self, row: usize) -> Option<u32> {
        <[R]>::get(self, row).and_then(Record::system)
    }
    fn value(&self, row: usize, column: usize) -> Value {
        <[R]>::get(self, row).map_or(Value::Null, |r| r.value(column))
    }
    fn cell(&self, row: usize, column: usize) -> CellRef<'_> {
        <[R]>::get(self, row).map_or(CellRef::Null, |r| r.cell(column))
    }
    fn cells<'a>(&'a self, row: usize, each: &mut dyn FnMut(CellRef<'a>)) {
        if let Some(row) = <[R]>::get(self, row) {
            row.cells(each);
        }
    }
    fn evidence(&self, row: usize) -> Option<&Evidence> {
        <[R]>::get(self, row).map(Record::evidence)
    }
}

macro_rules! tables {
    ($($(#[doc = $doc:literal])* $field:ident: $row:ident,)*) => {
        /// All rows of all tables.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Inventory {
            $($(#[doc = $doc])* pub $field: std::sync::Arc<Vec<$row>>,)*
        }
        /// One row of some table, as the worker sends it.
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub enum Row {
            $($row(Box<$row>),)*
        }
        $(impl From<$row> for Row {
            fn from(row: $row) -> Self {
                Self::$row(Box::new(row))
            }
        })*
        /// Every table's description, in the order of the report.
        pub const TABLES: &[&Table] = &[$(&<$row as Record>::TABLE),*];
        impl Row {
            pub fn table(&self) -> &'static Table {
                match self { $(Self::$row(_) => const { &<$row as Record>::TABLE },)* }
            }
            pub fn value(&self, column: usize) -> Value {
                match self { $(Self::$row(r) => r.value(column),)* }
            }
            /// All cells in column order.
            pub fn cells<'a>(&'a self, each: &mut dyn FnMut(CellRef<'a>)) {
                match self { $(Self::$row(r) => r.cells(each),)* }
            }
            pub fn system(&self) -> Option<u32> {
                match self { $(Self::$row(r) => r.system,)* }
            }
            pub fn set_system(&mut self, system: Option<u32>) {
                match self { $(Self::$row(r) => r.system = system,)* }
            }
            pub fn evidence(&self) -> &Evidence {
                match self { $(Self::$row(r) => &r.evidence,)* }
            }
            pub fn evidence_mut(&mut self) -> &mut Evidence {
                match self { $(Self::$row(r) => &mut r.evidence,)* }
            }
            /// Rebuilds a row of the named table; `None` if the table or a cell does not fit.
            pub fn from_values(table: &str, system: Option<u32>, values: Vec<Value>, evidence: Evidence) -> Option<Self> {
                $(if table == <$row as Record>::TABLE.name {
                    return <$row as Record>::from_values(system, values, evidence).map(Self::from);
                })*
                None
            }
        }
        impl Inventory {
            pub fn push(&mut self, row: Row) {
                match row { $(Row::$row(r) => std::sync::Arc::make_mut(&mut self.$field).push(*r),)* }
            }
            /// Sorts every table by system and key, so that the order does not depend on who read first.
            pub fn sort(&mut self) {
                $(sort::sort(std::sync::Arc::make_mut(&mut self.$field).as_mut_slice());)*
            }
            pub fn all(&self) -> Vec<&dyn AnyTable> {
                vec![$(&*self.$field as &dyn AnyTable),*]
            }
            /// Every table, shared: for whoever keeps one beyond the inventory (views, exports on other threads).
            pub fn shared(&self) -> Vec<std::sync::Arc<dyn AnyTable + Send>> {
                vec![$(self.$field.clone() as std::sync::Arc<dyn AnyTable + Send>),*]
            }
            pub fn table(&self, name: &str) -> Option<&dyn AnyTable> {
                self.all().into_iter().find(|t| t.table().name == name)
            }
            pub fn into_rows(self) -> Vec<Row> {
                let mut rows = Vec::with_capacity(self.rows());
                $(rows.extend(std::sync::Arc::unwrap_or_clone(self.$field).into_iter().map(Row::from));)*
                rows
            }
            pub fn rows(&self) -> usize {
                0 $(+ self.$field.len())*
            }
        }
    };
}

tables! {
    files: File,
    binaries: Binary,
    services: Service,
    tasks: Task,
    starts: Start,
    interfaces: Interface,
    connections: Connection,
    routes: Route,
    names: NameSetting,
    firewall: FirewallRule,
    listeners: Listener,
    endpoints: Endpoint,
    leases: Lease,
    drivers: Driver,
    driver_settings: DriverSetting,
    devices: Device,
    packages: Package,
    components: Component,
    containers: Container,
    accounts: Account,
    groups: Group,
    sudoers: SudoRule,
    keys: Key,
    certificates: Certificate,
    settings: Setting,
    boot_environment: BootVariable,
    events: Event,
    sessions: Session,
    traces: Trace,
    removed: Removed,
    file_events: FileEvent,
    content_matches: ContentMatch,
}
