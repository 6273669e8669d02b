//! The exporter of `[otlp]`, set up.

use std::sync::Arc;

use super::host::Hosted;
use super::process::Process;
use crate::admin;
use crate::otlp::{Exporter, Source};
use crate::stats::{Exports, Snapshot, Tracer};

impl Source for Hosted {
    fn snapshot(&self) -> Snapshot {
        admin::look(self)
    }

    fn exports(&self) -> &Exports {
        &self.0.gate.pools.context.records.exports
    }

    fn tracer(&self) -> &Tracer {
        &self.0.gate.pools.context.records.tracer
    }
}

/// Starts it, if it is configured, where it is in nobody's way.
pub(super) fn start(process: &Arc<Process>) -> Result<(), String> {
    let config = process.gate.config();
    let Some(settings) = &config.otlp else { return Ok(()) };
    let random = || getrandom::u64().map_err(|error| error.to_string());
    let exporter = Exporter::new(settings, format!("{:016x}", random()?))?;
    let tracer = &process.gate.pools.context.records.tracer;
    let spans = tracer.begin(settings.span_queue, settings.sample_ratio, random()?);
    let spans = spans.ok_or("the exporter was started before")?;
    tracing::info!(endpoint = settings.endpoint, "exporting by otlp");
    let (source, present) = (Arc::new(Hosted(Arc::clone(process))), process.presence());
    let process = Arc::clone(process);
    process.backstage.handle().clone().spawn(async move {
        let _present = present;
        exporter.run(source, spans, async move { process.farewell().await }).await;
    });
    Ok(())
}
