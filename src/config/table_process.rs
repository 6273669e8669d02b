//! The settings of `[pgusher]` and `[http]`.

use super::kinds::{Auto, Bytes, Count, Delay, FileMode, Flag, Int, Limited};
use super::lists::{Buckets, ListenAddrs, Names, Socket};
use super::resolved::{AuthType, Http, LogFormat, Process, SendEngine};
use super::setting::{RELOAD, RESTART, section_table};
use super::words::{LogFilter, OneOf, OptionalPath};

section_table! {
    /// `[pgusher]`.
    PROCESS for Process {
        listen_addr: ListenAddrs = "", RESTART,
            "Addresses or names to listen on, one or an array; \"*\" is every address. Without it there is no TCP.";
        listen_port: Int<u16, 0, 65535> = "6432", RESTART,
            "TCP port, and the number in the unix socket's name. 0 takes any free port, which is for tests.";
        listen_backlog: Int<u32, 1, 65535> = "1024", RESTART,
            "Connections that may wait in the kernel to be accepted.";
        unix_socket_dir: OptionalPath = "", RESTART,
            "Folder of the unix socket `.s.PGSQL.<port>`. Without it there is no unix socket.";
        unix_socket_mode: FileMode = "0777", RESTART,
            "Permissions of the unix socket, in octal.";
        max_client_conn: Count<1> = "6000", RELOAD,
            "Clients at the same time, over all databases, those logging in included.";
        auth_type: OneOf<AuthType> = "scram-sha-256", RELOAD,
            "How clients prove who they are: scram-sha-256, md5, or trust (only on loopback and unix sockets).";
        auth_file: OptionalPath = "", RELOAD,
            "Users and their passwords or verifiers, in PgBouncer's userlist format.";
        admin_users: Names = "", RELOAD,
            "Users who may give orders on the console.";
        stats_users: Names = "", RELOAD,
            "Users who may only read the console.";
        client_login_timeout: Limited = "15s", RELOAD,
            "Longest time from accepting a client to the end of its login.";
        drain_timeout: Delay = "5m", RELOAD,
            "How long a graceful stop waits for transactions to end; \"0s\" does not wait.";
        cancel_wait_timeout: Limited = "10s", RELOAD,
            "How long a cancel request may take to be delivered to its server.";
        worker_threads: Auto<Int<u16, 1, 256>> = "auto", RESTART,
            "Threads that relay traffic; \"auto\" is one for two processors, at most 8.";
        send_engine: OneOf<SendEngine> = "auto", RESTART,
            "How small messages are sent: io_uring (together, in one system call), plain (one by one), or auto: io_uring where the kernel allows it.";
        prepared_statements_memory: Bytes = "64MiB", RESTART,
            "Text of prepared statements kept for all clients together.";
        log_format: OneOf<LogFormat> = "text", RESTART,
            "Shape of log lines: text, or json with one object a line.";
        log_level: LogFilter = "info", RELOAD,
            "What is logged: off, error, warn, info, debug or trace, or a filter such as \"pgusher::pool=debug,info\".";
        log_connections: Flag = "true", RELOAD,
            "Log a line for every client that comes.";
        log_disconnections: Flag = "true", RELOAD,
            "Log a line for every client that leaves, with the reason.";
        reload_on_change: Flag = "false", RELOAD,
            "Read the configuration again when one of its files changes.";
    }
}

section_table! {
    /// `[http]`.
    HTTP for Http {
        listen: Socket = "127.0.0.1:9127", RESTART,
            "Address and port of /metrics, /healthz and /readyz.";
        queue_buckets: Buckets = "default", RESTART,
            "Upper bounds of the queue-time histogram, rising, at most 32 durations.";
    }
}
