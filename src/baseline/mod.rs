//! Known-good as an index that the judge can ask: what accepted cranes, vendors and analysts vouch
//! for. A baseline is an examined system that somebody trusts, as one file (format: `file`).
mod file;
mod gather;
mod hashed;
mod held;
mod import;
mod index;
mod packages;
mod rows;
mod set;
mod sets;
mod sign;
#[cfg(test)]
mod tests;
mod trust;
mod verdict;
mod version;
mod volatile;

pub use file::{About, BaselineError, Image, Kind, Origin, PACKAGES_SCHEMA, SCHEMA, build};
pub use gather::{Gathered, Gatherer, Hashes, Temporary};
pub use hashed::Hashed;
pub use held::Held;
pub use import::{ALL as IMPORTERS, Each, Fault, Importer, of as importer_of};
pub use index::Algorithm;
pub use packages::{Likeness, Package, PackageSet, Shipped, build_packages};
pub use set::Set;
pub use sets::{Baselines, Missing, Used};
pub use sign::{NewPair, Signer, new_pair};
pub use trust::{Keys, Trust, signature_of};
pub use verdict::{BaselineVerdict, Standing};
pub use version::{VERSION_FAMILIES, compare_versions};
pub use volatile::{DERIVED_OF_FILES, canonical, is_shown, is_state, named};
