//! Flash of gateways and routers: volumes and file systems made by mtd-utils, against their sources.
mod backup;
mod boot;
mod environment;
mod folder;
mod jffs2;
mod nand;
mod ubi;
mod ubifs;
