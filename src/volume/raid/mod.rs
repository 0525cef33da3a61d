//! RAID: how blocks are spread over devices, and Linux md, which writes that down.
pub(super) mod layout;
