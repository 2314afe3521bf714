//! What a folder is on: network and user-space file systems have locks that not every program sees, and no memory that
//! processes share.

use std::io;
use std::path::Path;

/// Where a file system keeps its files, as far as that decides how they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// On this machine.
    Local,
    /// Elsewhere, or behind another program; with its name.
    Remote(&'static str),
}

/// Returns what `path`, which must exist, is on.
///
/// # Errors
/// If the system does not say.
pub fn of(path: &Path) -> io::Result<FileSystem> {
    Ok(kind(&rustix::fs::statfs(path)?))
}

#[cfg(target_os = "linux")]
fn kind(found: &rustix::fs::StatFs) -> FileSystem {
    by_magic(i128::from(found.f_type))
}

/// The flag of file systems that are on this machine (`MNT_LOCAL`).
#[cfg(target_os = "macos")]
const MNT_LOCAL: u32 = 0x1000;

#[cfg(target_os = "macos")]
fn kind(found: &rustix::fs::StatFs) -> FileSystem {
    if found.f_flags & MNT_LOCAL == 0 { FileSystem::Remote("network") } else { FileSystem::Local }
}

/// The numbers that Linux gives file systems, by statfs(2).
#[cfg(target_os = "linux")]
fn by_magic(magic: i128) -> FileSystem {
    let name = match magic {
        0x6969 => "NFS",
        0x517b | 0xfe53_4d42 => "SMB",
        0xff53_4d42 => "CIFS",
        0x6573_5546 => "FUSE",
        0x0102_1997 => "9P",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x00c3_6400 => "Ceph",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0x7375_7245 => "Coda",
        0x786f_4256 => "VirtualBox",
        _ => return FileSystem::Local,
    };
    FileSystem::Remote(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of(folder.path()).unwrap(), FileSystem::Local);
        assert_eq!(of(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn tells_network_file_systems_by_their_numbers() {
        let ext4 = 0xef53;
        let kinds = [ext4, 0x6969, 0xff53_4d42, 0x6573_5546].map(by_magic);
        assert_eq!(kinds[0], FileSystem::Local);
        assert_eq!(kinds[1..], ["NFS", "CIFS", "FUSE"].map(FileSystem::Remote));
    }
}
