//! Socket options that have no safe wrapper.

use std::io;
use std::os::fd::AsRawFd;

use socket2::Socket;

/// Sets an option whose value is an integer.
#[allow(unsafe_code, reason = "setsockopt takes a pointer; see below")]
pub(super) fn set_option(
    socket: &Socket,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is one integer, which is alive during the call, and its size is given.
    let result = unsafe {
        let value = std::ptr::from_ref(&value).cast();
        libc::setsockopt(socket.as_raw_fd(), level, name, value, size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
