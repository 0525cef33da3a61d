//! The tables that correlations look at, and their numbers.
//!
//! A correlation sees the rows of its [`Look`] and no others: what is not in it cannot be read, and what is in it and
//! not read is a warning. So [`Look::TABLES`] is what a gap must bear on to bound what the correlation says; the rules
//! with code, the maximum severity and the policy's sections of links take it from there.
use crate::inventory::{
    Binary, Connection, Device, Driver, DriverSetting, Endpoint, Event, File, FirewallRule, Interface, Inventory, Key,
    Listener, Package, Service, Session, Setting, Start, Task,
};
use crate::judge::rows::{TableId, table_id};

/// The rows that a correlation looks at.
pub(in crate::judge) trait Look<'a> {
    /// Names of the tables.
    const TABLES: &'static [&'static str];
    fn of(inventory: &'a Inventory) -> Self;
}

macro_rules! looks {
    ($($(#[doc = $doc:literal])* $name:ident { $($table:ident: $row:ident,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy)]
        pub(in crate::judge) struct $name<'a> { $(pub(super) $table: &'a [$row],)* }
        impl<'a> Look<'a> for $name<'a> {
            const TABLES: &'static [&'static str] = &[$(stringify!($table)),*];
            fn of(inventory: &'a Inventory) -> Self {
                Self { $($table: inventory.$table.as_slice(),)* }
            }
        }
    )*};
}

looks! {
    /// Modems: `modem-link`. `files` are those that belong to a link, and how packages vouch for all others.
    ModemLook {
        devices: Device,
        drivers: Driver,
        driver_settings: DriverSetting,
        binaries: Binary,
        packages: Package,
        connections: Connection,
        interfaces: Interface,
        files: File,
        services: Service,
        tasks: Task,
        starts: Start,
        settings: Setting,
        firewall: FirewallRule,
        events: Event,
        sessions: Session,
    }
    /// Remote access: `remote-access-path`.
    RemoteLook {
        binaries: Binary,
        packages: Package,
        connections: Connection,
        interfaces: Interface,
        files: File,
        services: Service,
        tasks: Task,
        starts: Start,
        listeners: Listener,
        endpoints: Endpoint,
        keys: Key,
        events: Event,
        sessions: Session,
    }
    /// Contents of known-bad and noteworthy sets.
    ContentLook { files: File, }
    /// Files of packages: `package-content`.
    PackageContentLook { files: File, packages: Package, }
    /// Versions of packages: `package-version`.
    PackageVersionLook { packages: Package, }
}

macro_rules! ids {
    ($($name:ident),*) => {
        #[derive(Clone, Copy, Debug)]
        pub(super) struct Ids { $(pub(super) $name: TableId,)* }
        impl Ids {
            pub(super) fn new() -> Self {
                // A table that does not exist gets a number beyond the last: its rows are then nobody's evidence.
                Self { $($name: table_id(stringify!($name)).unwrap_or(usize::MAX),)* }
            }
        }
        #[cfg(test)]
        mod tests {
            #[test]
            fn every_table_exists() {
                $(assert!(crate::judge::rows::table_id(stringify!($name)).is_some(), stringify!($name));)*
            }
        }
    };
}
ids!(
    files,
    binaries,
    services,
    tasks,
    starts,
    interfaces,
    connections,
    firewall,
    listeners,
    drivers,
    driver_settings,
    devices,
    packages,
    keys,
    settings,
    endpoints,
    events,
    sessions
);
