//! Small tables about the process: SHOW LISTS, CONFIG, STATE, VERSION.

use super::look::View;
use super::table::{Cell, Field, Row};
use crate::config::ShownSetting;

/// A row of SHOW CONFIG.
pub(super) struct ConfigRow(ShownSetting);

fn yes_no(yes: bool) -> Cell {
    if yes { "yes" } else { "no" }.into()
}

impl Row for ConfigRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("key", |row| row.0.key.into()),
        Field::text("value", |row| row.0.value.as_deref().into()),
        Field::text("default", |row| row.0.default.into()),
        Field::text("changeable", |row| yes_no(row.0.changeable)),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        view.host.settings().into_iter().map(ConfigRow).collect()
    }
}

/// A row of SHOW CONFIG, and where the value comes from: PgBouncer's table has no column for that.
pub(super) struct SettingRow(ShownSetting);

impl Row for SettingRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("key", |row| row.0.key.into()),
        Field::text("value", |row| row.0.value.as_deref().into()),
        Field::text("default", |row| row.0.default.into()),
        Field::text("changeable", |row| yes_no(row.0.changeable)),
        Field::text("origin", |row| row.0.whence.to_string().into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        view.host.settings().into_iter().map(SettingRow).collect()
    }
}

/// A row of SHOW LISTS.
pub(super) struct ListRow {
    list: &'static str,
    items: usize,
}

impl Row for ListRow {
    const FIELDS: &'static [Field<Self>] =
        &[Field::text("list", |row| row.list.into()), Field::int("items", |row| row.items.into())];

    fn all(view: View<'_>) -> Vec<Self> {
        let lists = view.snapshot.lists().into_iter();
        lists.map(|(list, items)| ListRow { list, items }).collect()
    }
}

/// A row of SHOW STATE.
pub(super) struct StateRow {
    key: &'static str,
    value: bool,
}

impl Row for StateRow {
    const FIELDS: &'static [Field<Self>] =
        &[Field::text("key", |row| row.key.into()), Field::text("value", |row| yes_no(row.value))];

    fn all(view: View<'_>) -> Vec<Self> {
        let process = &view.snapshot.process;
        let (paused, suspended) = (process.is_paused, process.is_suspended);
        vec![
            StateRow { key: "active", value: !paused && !suspended },
            StateRow { key: "paused", value: paused },
            StateRow { key: "suspended", value: suspended },
        ]
    }
}

/// The row of SHOW VERSION.
pub(super) struct VersionRow;

impl Row for VersionRow {
    const FIELDS: &'static [Field<Self>] =
        &[Field::text("version", |_| concat!("pgusher ", env!("CARGO_PKG_VERSION")).into())];

    fn all(_: View<'_>) -> Vec<Self> {
        vec![VersionRow]
    }
}
