//! Cranescope: what is on the computers of a port crane, from their disk images.
//!
//! The layers, bottom first. Worker side: `base < image < volume < fs < evidence < artifact <
//! extract < worker`, and `base < format, inventory < artifact`. Parent side: `base < inventory <
//! baseline < judge < case < report < compare < session < cli, gui`. The two sides share base and inventory
//! alone; a test holds every `crate::` path to that.
pub mod base; // names, times, places, gaps, progress

pub mod artifact; // traces read into the inventory
pub mod evidence; // every node once; installed systems
pub mod extract; // the worker's pipeline: phases A to D
pub mod format; // file formats that know nothing of disks
pub mod fs; // trees of nodes over a volume
pub mod image; // bytes of an acquisition
pub mod inventory; // typed tables of facts, and the scene
pub mod volume; // what parts an image has
pub mod worker; // the process that parses, and its protocol

pub mod baseline; // known-good as an index that judge can ask
pub mod case; // what was found and decided, on disk
pub mod compare; // what differs between machines of one kind
pub mod judge; // facts against knowledge
pub mod report; // a case written out
pub mod session; // starts workers, judges, writes the case

pub mod cli; // the command line
#[cfg(feature = "gui")]
pub mod gui; // the window: one face over session
