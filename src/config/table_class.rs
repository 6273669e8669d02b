//! The settings of `[classes.NAME]`.

use super::kinds::{Int, Limit, Limited};
use super::lists::Names;
use super::resolved_class::ClassSettings;
use super::setting::{RELOAD, section_table};

section_table! {
    /// `[classes.NAME]`.
    CLASS for ClassSettings {
        databases: Names = "", RELOAD,
            "Databases whose clients belong to the class. Without it, all.";
        users: Names = "", RELOAD,
            "Users who belong to the class. Without it, all.";
        application_names: Names = "", RELOAD,
            "Values of application_name that belong to the class, with * for any characters. Without it, all.";
        tags: Names = "", RELOAD,
            "Values of the clients' parameter pgusher.class that belong to the class. Without it, all.";
        weight: Int<u32, 1, 1_000> = "1", RELOAD,
            "The class's part of the servers' time, against other classes of its priority.";
        min_servers: Int<usize, 0, 1_000_000> = "0", RELOAD,
            "While the class has fewer servers of a pool than this and wants one, it is next.";
        max_servers: Limit = "0", RELOAD,
            "Servers of a pool that the class may have at the same time; 0 is no limit.";
        priority: Int<u8, 0, 100> = "0", RELOAD,
            "Classes of a higher priority are served before those of a lower one.";
        max_queue: Limit = "0", RELOAD,
            "Clients of the class that may wait for a pool; 0 is the pool's own `max_queue`.";
        queue_deadline: Limited = "off", RELOAD,
            "How long clients of the class may have to wait; \"off\" is the pool's own `queue_deadline`.";
    }
}
