//! The SQLSTATE codes pgusher itself raises (PostgreSQL's appendix "Error Codes").

/// A five-character SQLSTATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SqlState(pub &'static str);

/// `00000` successful_completion: of notices.
pub const SUCCESS: SqlState = SqlState("00000");
/// `01000` warning.
pub const WARNING: SqlState = SqlState("01000");
/// `08001` sqlclient_unable_to_establish_sqlconnection: the server could not be reached.
pub const UNABLE_TO_CONNECT: SqlState = SqlState("08001");
/// `08004` sqlserver_rejected_establishment_of_sqlconnection.
pub const CONNECTION_REJECTED: SqlState = SqlState("08004");
/// `08006` connection_failure: the server went away in the middle of a conversation.
pub const CONNECTION_FAILURE: SqlState = SqlState("08006");
/// `08P01` protocol_violation.
pub const PROTOCOL_VIOLATION: SqlState = SqlState("08P01");
/// `0A000` feature_not_supported.
pub const FEATURE_NOT_SUPPORTED: SqlState = SqlState("0A000");
/// `22023` invalid_parameter_value.
pub const INVALID_PARAMETER_VALUE: SqlState = SqlState("22023");
/// `25P03` idle_in_transaction_session_timeout.
pub const IDLE_IN_TRANSACTION_TIMEOUT: SqlState = SqlState("25P03");
/// `25P04` transaction_timeout.
pub const TRANSACTION_TIMEOUT: SqlState = SqlState("25P04");
/// `26000` invalid_sql_statement_name: no such prepared statement.
pub const UNDEFINED_STATEMENT: SqlState = SqlState("26000");
/// `28000` invalid_authorization_specification.
pub const INVALID_AUTHORIZATION: SqlState = SqlState("28000");
/// `28P01` invalid_password.
pub const INVALID_PASSWORD: SqlState = SqlState("28P01");
/// `34000` invalid_cursor_name: no such portal.
pub const UNDEFINED_PORTAL: SqlState = SqlState("34000");
/// `3D000` invalid_catalog_name: no such database.
pub const UNDEFINED_DATABASE: SqlState = SqlState("3D000");
/// `42501` insufficient_privilege.
pub const INSUFFICIENT_PRIVILEGE: SqlState = SqlState("42501");
/// `42601` syntax_error.
pub const SYNTAX_ERROR: SqlState = SqlState("42601");
/// `42704` undefined_object.
pub const UNDEFINED_OBJECT: SqlState = SqlState("42704");
/// `42P05` duplicate_prepared_statement.
pub const DUPLICATE_STATEMENT: SqlState = SqlState("42P05");
/// `53200` out_of_memory.
pub const OUT_OF_MEMORY: SqlState = SqlState("53200");
/// `53300` too_many_connections.
pub const TOO_MANY_CONNECTIONS: SqlState = SqlState("53300");
/// `54000` program_limit_exceeded.
pub const PROGRAM_LIMIT_EXCEEDED: SqlState = SqlState("54000");
/// `55000` object_not_in_prerequisite_state.
pub const NOT_IN_PREREQUISITE_STATE: SqlState = SqlState("55000");
/// `57014` query_canceled.
pub const QUERY_CANCELED: SqlState = SqlState("57014");
/// `57P01` admin_shutdown.
pub const ADMIN_SHUTDOWN: SqlState = SqlState("57P01");
/// `57P03` cannot_connect_now.
pub const CANNOT_CONNECT_NOW: SqlState = SqlState("57P03");
/// `57P05` idle_session_timeout.
pub const IDLE_SESSION_TIMEOUT: SqlState = SqlState("57P05");
/// `F0000` config_file_error.
pub const CONFIG_FILE_ERROR: SqlState = SqlState("F0000");
/// `XX000` internal_error.
pub const INTERNAL_ERROR: SqlState = SqlState("XX000");
