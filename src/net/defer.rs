//! `TCP_DEFER_ACCEPT`, for which no crate here has a name.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::Socket;

/// Has the kernel keep new connections to itself until they say something, for so long.
///
/// # Errors
/// The socket's.
#[allow(unsafe_code, reason = "a system call with a pointer to an integer")]
pub(super) fn defer_accept(socket: &Socket, limit: Duration) -> io::Result<()> {
    let seconds = libc::c_int::try_from(limit.as_secs().max(1)).unwrap_or(libc::c_int::MAX);
    let length = libc::socklen_t::try_from(size_of_val(&seconds)).unwrap_or_default();
    // SAFETY: the pointer is to `seconds`, which is `length` bytes and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            std::ptr::from_ref(&seconds).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
