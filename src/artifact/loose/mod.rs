//! Loose evidence: files that say what they are wherever they lie, on a disk or in a folder beside it.
pub(super) mod firmware;
pub(super) mod modem_firmware;
pub(super) mod modem_talk;
pub(super) mod plc;
pub(super) mod remains;
pub(super) mod removed;
pub(super) mod router;
#[cfg(test)]
mod testing;
