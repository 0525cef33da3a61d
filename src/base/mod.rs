//! What every layer shares: raw names, times, byte runs, gaps, progress, budgets, ids.
//! Nothing here knows of disks, files formats or rules.
mod budget;
mod digest;
pub mod encoding;
mod folder;
mod gap;
pub mod host;
mod ids;
pub mod inert;
mod name;
mod nand;
pub mod order;
pub mod parallel;
mod place;
mod progress;
pub mod secret;
mod stage;
mod time;
pub mod utf16;
mod wanted;
pub mod yara;
mod zeros;

pub use budget::{Budget, Exceeded};
pub use digest::{Digest, Md5, MoreHashes, Sha1, hex};
pub use folder::{Folder, Item, ItemKind, Opener};
pub use gap::{Gap, Gaps};
pub use ids::short_id;
pub use name::Name;
pub use nand::{Bch, Nand};
pub use place::{Evidence, FsId, ImageRun, NodeId, Piece, PieceKind, Place, Run};
pub use progress::{Cancelled, Progress};
pub use stage::Stage;
pub use time::{Digits, Time};
pub use wanted::{Key, Secret, Wanted};
pub use zeros::is_zero;
