//! The numbers of the tables that correlations point to.
use crate::judge::rows::{TableId, table_id};

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
