//! The settings of `[pgusher]` and `[http]`.

use super::kinds::{Auto, Bytes, Count, Delay, FileMode, Flag, Int, Limit, Limited, Pause};
use super::lists::{Buckets, ListenAddrs, MetricsNames, Names, Socket};
use super::resolved::{Compat, Facility, LogFormat, Process, SendEngine};
use super::resolved_auth::AuthType;
use super::resolved_http::{Http, PageMode};
use super::setting::{RELOAD, RESTART, section_table};
use super::words::{LogFilter, OneOf, OptionalName, OptionalPath, OptionalSecret, Text};

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
        unix_socket_group: OptionalName = "", RESTART,
            "Group of the unix socket, by name or number. Without it, the group pgusher runs as.";
        max_client_conn: Count<1> = "6000", RELOAD,
            "Clients at the same time, over all databases, those logging in included.";
        max_user_connections: Limit = "0", RELOAD,
            "Servers over all databases of a user that has no section of its own; 0 is no limit.";
        max_user_client_connections: Limit = "0", RELOAD,
            "Clients of a user that has no section of its own; 0 is no limit.";
        auth_type: OneOf<AuthType> = "scram-sha-256", RELOAD,
            "How clients prove who they are: scram-sha-256, md5, plain, cert, peer, hba, ldap, pam; trust and any only on loopback and unix sockets.";
        auth_file: OptionalPath = "", RELOAD,
            "Users and their passwords or verifiers, in PgBouncer's userlist format.";
        auth_hba_file: OptionalPath = "", RELOAD,
            "A pg_hba.conf, for `auth_type` \"hba\".";
        auth_ident_file: OptionalPath = "", RELOAD,
            "A pg_ident.conf with the maps that auth_hba_file names.";
        auth_user: OptionalName = "", RELOAD,
            "Who looks up users on a server whom no file knows; its own password is in a file. Without it nobody is looked up.";
        auth_query: OptionalName = "", RELOAD,
            "The query of auth_user, with the name as $1; gives the name and the password. Without it, PgBouncer's, which reads pg_authid.";
        auth_dbname: OptionalName = "", RELOAD,
            "The database in which auth_user asks. Without it, the one that the client asks for.";
        auth_query_timeout: Pause = "5s", RELOAD,
            "Longest time for looking up a user, connecting included.";
        auth_query_cache_ttl: Limited = "off", RELOAD,
            "How long the answer of auth_query is used again, an old password with it; \"off\" asks at every login.";
        auth_ldap_options: OptionalSecret = "", RELOAD,
            "How LDAP is asked for `auth_type` \"ldap\": ldapserver=… and the other options of pg_hba.conf.";
        auth_failure_limit: Limit = "20", RELOAD,
            "Failed logins of one address within auth_failure_window before its logins are slowed down; 0 is never.";
        auth_failure_window: Pause = "1m", RELOAD,
            "How long the failed logins of an address count.";
        auth_failure_delay: Pause = "1s", RELOAD,
            "How long each login of an address with too many failures is held up.";
        max_concurrent_logins: Count<1> = "100", RELOAD,
            "Logins that are worked on at the same time; more wait in the order they came.";
        admin_users: Names = "", RELOAD,
            "Users who may give orders on the console.";
        stats_users: Names = "", RELOAD,
            "Users who may only read the console.";
        client_login_timeout: Limited = "15s", RELOAD,
            "Longest time from accepting a client to the end of its login.";
        drain_timeout: Delay = "5m", RELOAD,
            "How long a graceful stop waits for transactions to end; \"0s\" does not wait.";
        suspend_timeout: Limited = "10s", RELOAD,
            "How long SUSPEND waits for clients to take what was sent to them; then they are disconnected.";
        cancel_wait_timeout: Limited = "10s", RELOAD,
            "How long a cancel request may take to be delivered to its server.";
        login_threads: Auto<Int<u16, 1, 64>> = "auto", RESTART,
            "Threads for what keeps a processor busy at logins, such as TLS handshakes: no more processors are busy with logins; \"auto\" is one for four processors, at most 8.";
        worker_threads: Auto<Int<u16, 1, 256>> = "auto", RESTART,
            "Threads that relay traffic; \"auto\" has as many in service as it takes (see worker_full), at most one for each processor, and 16.";
        worker_full: Int<u8, 1, 99> = "70", RESTART,
            "With worker_threads = \"auto\": a thread that is busy for more of a second than this, in percent, shares its clients with another.";
        send_engine: OneOf<SendEngine> = "auto", RESTART,
            "How small messages are sent: io_uring (together, in one system call), plain (one by one), or auto: io_uring where the kernel allows it.";
        prepared_statements_memory: Bytes = "64MiB", RESTART,
            "Text of prepared statements kept for all clients together.";
        user: OptionalName = "", RESTART,
            "The user of the operating system to become when started as root. Without it, whoever started pgusher.";
        pidfile: OptionalPath = "", RESTART,
            "File for the number of the process, while it runs. Without it there is none.";
        logfile: OptionalPath = "", RELOAD,
            "File for the log instead of standard error; a reload opens it anew, so it may be moved away.";
        log_format: OneOf<LogFormat> = "text", RESTART,
            "Shape of log lines: text, json with one object a line, or pgbouncer for tools that read PgBouncer's log.";
        log_level: LogFilter = "info", RELOAD,
            "What is logged: off, error, warn, info, debug or trace, or a filter such as \"pgusher::pool=debug,info\".";
        log_connections: Flag = "true", RELOAD,
            "Log a line for every client that comes.";
        log_disconnections: Flag = "true", RELOAD,
            "Log a line for every client that leaves, with the reason.";
        log_pooler_errors: Flag = "false", RELOAD,
            "Log the errors that pgusher itself gives to clients.";
        log_stats: Flag = "true", RELOAD,
            "Log a line with sums and averages every `stats_period`.";
        stats_period: Pause = "1m", RELOAD,
            "How long the averages of SHOW STATS are over.";
        advise_windows: Int<u16, 0, 64> = "4", RELOAD,
            "How many recordings of each pool's requests are kept for SHOW ADVICE, each of at most 10 s and some 4,096 requests; 0 records nothing.";
        advise_period: Pause = "1m", RELOAD,
            "How long a busy pool is left alone between two recordings, once there are advise_windows of them.";
        compat: OneOf<Compat> = "off", RESTART,
            "Whose rules bind where pgusher has stricter ones: off, or pgbouncer, which is what a pgbouncer.ini gets.";
        reload_on_change: Flag = "false", RELOAD,
            "Read the configuration again when one of its files changes.";
        so_reuseport: Flag = "false", RESTART,
            "Other processes may listen on the same TCP ports: several pgushers on one port.";
        peer_id: Int<u16, 0, 16383> = "0", RELOAD,
            "The number of this process among its peers, so that cancel requests find their way; 0 without peers.";
        tcp_defer_accept: Limited = "1s", RESTART,
            "How long the kernel holds back new TCP connections that say nothing.";
        tcp_socket_buffer: Bytes = "0B", RELOAD,
            "The kernel's buffers of a TCP socket; \"0B\" leaves them to the kernel.";
        tcp_keepalive: Flag = "true", RELOAD,
            "Ask silent TCP peers for a sign of life.";
        tcp_keepcnt: Int<u32, 0, 127> = "0", RELOAD,
            "How many such questions may go unanswered; 0 leaves it to the kernel.";
        tcp_keepidle: Limited = "1m", RELOAD,
            "Silence before the first question; \"off\" leaves it to the kernel.";
        tcp_keepintvl: Limited = "off", RELOAD,
            "Time between two questions; \"off\" leaves it to the kernel.";
        tcp_user_timeout: Limited = "off", RELOAD,
            "How long sent bytes may stay unacknowledged before the connection fails; \"off\" leaves it to the kernel.";
        dns_max_ttl: Delay = "15s", RELOAD,
            "How long the addresses of a server's name are used before the name is looked up again.";
        dns_nxdomain_ttl: Delay = "15s", RELOAD,
            "How long it is remembered that a name has no addresses.";
        dns_zone_check_period: Limited = "off", RELOAD,
            "How often the zones of servers' names are asked for their serial numbers: when one differs, its names are looked up again.";
        resolv_conf: OptionalPath = "", RELOAD,
            "A file in the form of `/etc/resolv.conf` that names the name servers to ask.";
        syslog: Flag = "false", RELOAD,
            "Log to syslog as well as to the file or standard error.";
        syslog_ident: Text = "pgusher", RELOAD,
            "The name in syslog's lines.";
        syslog_facility: OneOf<Facility> = "daemon", RELOAD,
            "Syslog's facility: auth, authpriv, daemon, user, or local0 to local7.";
        login_notify_message: Text = "", RELOAD,
            "A notice that every client gets behind its login. Without it there is none.";
        track_extra_parameters: Names = "IntervalStyle", RESTART,
            "With compat = \"pgbouncer\": start-up parameters that are kept beside PgBouncer's usual ones.";
        ignore_startup_parameters: Names = "", RELOAD,
            "With compat = \"pgbouncer\": start-up parameters that are dropped; others that are not kept are errors there.";
        application_name_add_host: Flag = "false", RELOAD,
            "Add the client's address to its application_name, as servers see it.";
        disable_pqexec: Flag = "false", RESTART,
            "Refuse simple queries, whose text may hold several statements.";
        scram_iterations: Int<u32, 1, 2147483647> = "4096", RELOAD,
            "Iterations of the SCRAM verifiers that are made of plain passwords.";
        autodb_idle_timeout: Limited = "1h", RELOAD,
            "A database that only the fallback knows is forgotten when nobody has used it for this long.";
        pool_idle_timeout: Limited = "off", RELOAD,
            "A pool that no client has used for this long is emptied.";
    }
}

section_table! {
    /// `[http]`.
    HTTP for Http, shown as "http." {
        listen: Socket = "127.0.0.1:9127", RESTART,
            "Address and port of /metrics, /healthz and /readyz.";
        queue_buckets: Buckets = "default", RESTART,
            "Upper bounds of the queue-time histogram, rising, at most 32 durations.";
        metrics_compat: MetricsNames = "", RELOAD,
            "Whose names of metrics are served beside our own, one or an array: pgbouncer_exporter.";
        page: OneOf<PageMode> = "read", RESTART,
            "The page for browsers at /: off, read, or admin, where users of the console may sign in.";
        page_hosts: Names = "", RESTART,
            "Names under which browsers may ask for the page, one or an array; addresses and localhost always may.";
    }
}
