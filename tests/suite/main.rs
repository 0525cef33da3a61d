//! One test binary; each file under it tests one promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod allowance;
mod approved;
mod archive;
mod bad;
mod baselines;
mod bitlocker;
mod btrfs;
mod cli;
mod common;
mod confined;
mod containers;
mod content_rules;
mod coverage;
mod debian;
mod dpkg;
mod erofs;
mod evidence;
mod export;
mod ext;
mod f2fs;
mod fat;
mod faults;
#[cfg_attr(not(feature = "gui"), allow(dead_code))]
mod fixture;
mod flash;
mod folder;
mod gate;
#[cfg(feature = "gui")]
mod gui;
#[cfg(feature = "gui")]
mod gui_aborts;
#[cfg(feature = "gui")]
mod gui_compare;
#[cfg(feature = "gui")]
mod gui_outside;
#[cfg(feature = "gui")]
mod gui_policy;
#[cfg(feature = "gui")]
mod gui_runs;
#[cfg(feature = "gui")]
mod gui_tables;
mod host;
mod host_fs;
mod hostile_settings;
mod html;
mod identified;
mod intact;
mod iso;
mod journal;
#[path = "../../fuzz/src/kit/mod.rs"]
#[allow(clippy::all, clippy::pedantic, dead_code, unreachable_pub)]
mod kit;
mod lives;
mod look;
mod made;
mod mount;
mod mutate;
mod named_files;
mod names;
mod ntfs;
mod oracles;
mod overlay;
mod packages;
mod policy;
mod registry;
mod remains;
mod resume;
mod rules;
mod same;
mod samples;
mod secrets;
mod seeds;
mod sisters;
mod squashfs;
mod survive;
mod systemd;
#[path = "../../fuzz/src/targets/mod.rs"]
#[allow(clippy::all, clippy::pedantic, dead_code, unreachable_pub)]
mod targets;
mod tidy;
mod xfs;
