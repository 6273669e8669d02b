//! The traceparent that a client puts into a comment of its statement, as sqlcommenter and others do.

use memchr::memmem;

/// What a statement says of the trace it belongs to (W3C Trace Context, version 00).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: u128,
    /// The span that sent the statement.
    pub span: u64,
    /// Whether the trace is recorded.
    pub is_sampled: bool,
}

impl TraceParent {
    /// Looks for `traceparent='…'` in the comments of a statement.
    pub fn find(sql: &[u8]) -> Option<Self> {
        const KEY: &[u8] = b"traceparent='";
        let mut places = memmem::find_iter(sql, KEY);
        places.find_map(|at| {
            let (before, after) = (sql.get(..at)?, sql.get(at + KEY.len()..)?);
            let opened = memmem::rfind(before, b"/*")?;
            let closed = memmem::find(before.get(opened..)?, b"*/");
            let value = after.split(|&byte| byte == b'\'').next()?;
            closed.is_none().then(|| TraceParent::parse(value)).flatten()
        })
    }

    /// Reads `00-<trace>-<span>-<flags>`.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.split('-');
        let mut part = |length| parts.next().filter(|part| part.len() == length && is_hex(part));
        let version = part(2)?;
        let trace = u128::from_str_radix(part(32)?, 16).ok()?;
        let span = u64::from_str_radix(part(16)?, 16).ok()?;
        let flags = u8::from_str_radix(part(2)?, 16).ok()?;
        // What a later version puts behind the flags is none of ours; version ff is forbidden, and so are zeros.
        let is_whole = version != "00" || parts.next().is_none();
        (is_whole && version != "ff" && trace != 0 && span != 0).then_some(TraceParent {
            trace,
            span,
            is_sampled: flags & 1 == 1,
        })
    }
}

/// Only lower case is allowed.
fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_comment_anywhere_in_the_statement_is_read() {
        let expected = TraceParent {
            trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            span: 0x00f0_67aa_0ba9_02b7,
            is_sampled: true,
        };
        for sql in [
            format!("select 1 /*traceparent='{VALUE}'*/"),
            format!("/* x */ /*action='a',traceparent='{VALUE}',tracestate=''*/ select 1"),
            format!("select /*traceparent='broken'*/ 1 /*traceparent='{VALUE}'*/;"),
        ] {
            assert_eq!(TraceParent::find(sql.as_bytes()), Some(expected), "{sql}");
        }
        let unsampled = format!("select 1 /*traceparent='{}00'*/", &VALUE[..VALUE.len() - 2]);
        assert_eq!(
            TraceParent::find(unsampled.as_bytes()),
            Some(TraceParent { is_sampled: false, ..expected })
        );
    }

    #[test]
    fn what_is_no_comment_or_no_traceparent_is_passed_over() {
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        for sql in [
            format!("select traceparent='{VALUE}'"),
            format!("select 1 /* a */, traceparent='{VALUE}'"),
            format!("select 1 /*traceparent='{}'*/", VALUE.to_uppercase()),
            format!("select 1 /*traceparent='{VALUE}-more'*/"),
            format!("select 1 /*traceparent='ff{}'*/", &VALUE[2..]),
            format!("select 1 /*traceparent='{zeros}'*/"),
            format!("select 1 /*traceparent='{}", &VALUE[..20]),
            "select 1 /*traceparent='".to_owned(),
        ] {
            assert_eq!(TraceParent::find(sql.as_bytes()), None, "{sql}");
        }
    }
}
