//! The operating system's users and groups.

use std::io;

use nix::unistd::{Gid, Group, Uid, User};
use socket2::Socket;

/// Whose process is at the other end of a unix socket.
///
/// # Errors
/// The operating system does not tell.
pub fn peer_uid(socket: &Socket) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(socket)?.uid.as_raw())
}

/// Whether it is the user pgusher itself runs as.
pub fn is_own_uid(uid: u32) -> bool {
    Uid::effective().as_raw() == uid
}

/// The name of a user; `None` when the number has none. May ask the network, so it blocks.
///
/// # Errors
/// The user database cannot be read.
pub fn user_name(uid: u32) -> io::Result<Option<String>> {
    let user = User::from_uid(Uid::from_raw(uid)).map_err(io::Error::from)?;
    Ok(user.map(|user| user.name))
}

/// There is no such group.
#[derive(Debug, thiserror::Error)]
pub enum NoGroup {
    /// Nobody knows the name.
    #[error("there is no group \"{0}\"")]
    Unknown(String),
    /// The group database cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The number of a group, by its name or written as a number.
///
/// # Errors
/// See [`NoGroup`].
pub fn group_id(name: &str) -> Result<u32, NoGroup> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let group = Group::from_name(name).map_err(io::Error::from)?;
    group.map(|group| Gid::as_raw(group.gid)).ok_or_else(|| NoGroup::Unknown(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn we_are_at_our_own_other_end() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let uid = peer_uid(&Socket::from(OwnedFd::from(ours))).unwrap();
        assert!(is_own_uid(uid));
        assert!(!is_own_uid(uid + 1));
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(user_name(0).unwrap().as_deref(), Some("root"));
        assert_eq!(user_name(u32::MAX - 7).unwrap(), None);
        assert_eq!(group_id("root").unwrap(), 0);
        assert_eq!(group_id("4242").unwrap(), 4242);
        assert!(matches!(group_id("no such group"), Err(NoGroup::Unknown(_))));
    }
}
