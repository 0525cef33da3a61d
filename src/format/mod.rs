//! File formats that know nothing of disks: bytes in, values out.
