//! Flash of gateways and routers: volumes and file systems made by mtd-utils, against their sources.
mod boot;
mod folder;
mod jffs2;
mod ubi;
mod ubifs;
